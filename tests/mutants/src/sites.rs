//! Finds the places of the mutants in a file's syntax, and says what stands there when all of them are switches.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use anyhow::Result;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr};

use crate::Mutant;
use crate::render::{Piece, Site};

/// What a file holds.
pub struct Sites {
    /// The sites, parents before their children.
    pub found: Vec<Site>,
    /// Mutants that cannot compile, since a `let` may only stand in a chain of `&&`.
    pub chained: Vec<usize>,
}

/// The sites of a file; functions named in `constant` stay `const`.
pub fn find(source: &str, mutants: &[(usize, &Mutant)], constant: &HashSet<String>) -> Result<Sites> {
    let file = syn::parse_file(source)?;
    let mut wanted: HashMap<Key, Vec<Wanted>> = HashMap::new();
    for (id, mutant) in mutants {
        let start = mutant.span.start;
        let key = (mutant.genre.clone(), start.line, start.column);
        wanted.entry(key).or_default().push(Wanted { id: *id, replacement: mutant.replacement.clone() });
    }
    let mut finder = Finder { source, wanted, constant, sites: Vec::new(), chained: Vec::new(), in_constant: 0 };
    finder.visit_file(&file);
    Ok(Sites { found: finder.sites, chained: finder.chained })
}

/// Genre, line and column, both from 1.
type Key = (String, usize, usize);

struct Wanted {
    id: usize,
    replacement: String,
}

struct Finder<'s> {
    source: &'s str,
    wanted: HashMap<Key, Vec<Wanted>>,
    constant: &'s HashSet<String>,
    sites: Vec<Site>,
    chained: Vec<usize>,
    /// A constant is computed once, by the compiler: there is nothing to switch.
    in_constant: usize,
}

fn on(id: usize) -> String {
    format!("crate::mutant_switch::on({id})")
}

fn text(text: impl Into<String>) -> Piece {
    Piece::Text(text.into())
}

impl Finder<'_> {
    fn take(&mut self, genre: &str, span: proc_macro2::Span) -> Vec<Wanted> {
        if self.in_constant > 0 {
            return Vec::new();
        }
        let start = span.start();
        self.wanted.remove(&(genre.to_owned(), start.line, start.column + 1)).unwrap_or_default()
    }

    fn add(&mut self, range: Range<usize>, pieces: Vec<Piece>, wanted: &[Wanted]) {
        self.sites.push(Site { range, pieces, ids: wanted.iter().map(|wanted| wanted.id).collect() });
    }

    /// Gives back another value before the body begins.
    fn body(&mut self, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let wanted = self.take("FnValue", first.span());
        if wanted.is_empty() {
            return;
        }
        let at = block.brace_token.span.open().byte_range().end;
        let returns = wanted.iter().map(|one| match one.replacement.as_str() {
            "()" => text(format!(" if {} {{ return; }}", on(one.id))),
            value => text(format!(" if {} {{ return {value}; }}", on(one.id))),
        });
        let pieces = returns.collect();
        self.add(at..at, pieces, &wanted);
    }

    fn function<'a>(
        &mut self,
        sig: &syn::Signature,
        block: &'a syn::Block,
        go_on: impl FnOnce(&mut Self, &'a syn::Block),
    ) {
        let stays = self.constant.contains(&sig.ident.to_string());
        let constant = usize::from(sig.constness.is_some() && stays);
        if let Some(word) = sig.constness.filter(|_| !stays) {
            self.add(word.span().byte_range(), Vec::new(), &[]);
        }
        self.in_constant += constant;
        self.body(block);
        go_on(self, block);
        self.in_constant -= constant;
    }

    fn constant(&mut self, go_on: impl FnOnce(&mut Self)) {
        self.in_constant += 1;
        go_on(self);
        self.in_constant -= 1;
    }

    /// `if on(1) { other } else if on(2) { another } else { what stood there }`.
    fn choice(&mut self, range: Range<usize>, wanted: &[Wanted], form: impl Fn(Option<&Wanted>) -> Vec<Piece>) {
        let mut pieces = vec![text("(")];
        for one in wanted {
            pieces.push(text(format!("if {} {{ ", on(one.id))));
            pieces.extend(form(Some(one)));
            pieces.push(text(" } else "));
        }
        pieces.push(text("{ "));
        pieces.extend(form(None));
        pieces.push(text(" })"));
        self.add(range, pieces, wanted);
    }

    fn binary(&mut self, expr: &syn::ExprBinary) {
        let wanted = self.take("BinaryOperator", expr.op.span());
        if matches!(expr.op, BinOp::And(_)) && (binds(&expr.left) || binds(&expr.right)) {
            self.chained.extend(wanted.iter().map(|one| one.id));
            return;
        }
        if wanted.is_empty() {
            return;
        }
        let (left, right) = (expr.left.span().byte_range(), expr.right.span().byte_range());
        let op = self.source[expr.op.span().byte_range()].to_owned();
        let operation = |one: Option<&Wanted>| one.map_or_else(|| op.clone(), |one| one.replacement.clone());
        let range = expr.span().byte_range();
        if matches!(expr.op, BinOp::And(_) | BinOp::Or(_)) {
            // The left side once: chains are long, and would double with each link.
            let Some(one) = wanted.first() else { return };
            let pieces = vec![
                text("({ let left: bool = "),
                Piece::Source(left),
                text(format!("; if {} {{ left {} (", on(one.id), one.replacement)),
                Piece::Source(right.clone()),
                text(format!(") }} else {{ left {op} (")),
                Piece::Source(right),
                text(") } })"),
            ];
            self.add(range, pieces, &wanted);
            return;
        }
        let assigns = op.len() > 1 && op.ends_with('=') && !matches!(op.as_str(), "==" | "!=" | "<=" | ">=");
        self.choice(range, &wanted, |one| {
            let (open, close) = if assigns { ("", "") } else { ("(", ")") };
            vec![
                text(open),
                Piece::Source(left.clone()),
                text(format!("{close} {} (", operation(one))),
                Piece::Source(right.clone()),
                text(")"),
            ]
        });
    }

    fn arms(&mut self, expr: &syn::ExprMatch) {
        for arm in &expr.arms {
            let wanted = self.take("MatchArm", arm.span());
            if let Some(one) = wanted.first() {
                let at = arm.pat.span().byte_range().end;
                self.add(at..at, vec![text(format!(" if !{}", on(one.id)))], &wanted);
            }
            let Some((_, guard)) = &arm.guard else { continue };
            let wanted = self.take("MatchArmGuard", guard.span());
            if wanted.is_empty() {
                continue;
            }
            let range = guard.span().byte_range();
            let mut pieces = Vec::new();
            for one in &wanted {
                let switch = on(one.id);
                pieces.push(text(if one.replacement == "true" {
                    format!("({switch} || ")
                } else {
                    format!("(!{switch} && ")
                }));
            }
            pieces.extend([text("("), Piece::Source(range.clone()), text(")")]);
            pieces.extend(wanted.iter().map(|_| text(")")));
            self.add(range, pieces, &wanted);
        }
    }

    fn fields(&mut self, expr: &syn::ExprStruct) {
        if expr.rest.is_none() {
            return;
        }
        let range = expr.span().byte_range();
        let mut found = Vec::new();
        for pair in expr.fields.pairs() {
            let field = pair.value().span();
            let end = pair.punct().map_or(field.byte_range().end, |comma| comma.span().byte_range().end);
            let taken = self.take("StructField", field);
            found.extend(taken.into_iter().map(|one| (one, field.byte_range().start..end)));
        }
        if found.is_empty() {
            return;
        }
        let cuts: HashMap<usize, Range<usize>> = found.iter().map(|(one, cut)| (one.id, cut.clone())).collect();
        let wanted: Vec<Wanted> = found.into_iter().map(|(one, _)| one).collect();
        self.choice(range.clone(), &wanted, |one| match one.and_then(|one| cuts.get(&one.id)) {
            Some(cut) => vec![Piece::Source(range.start..cut.start), Piece::Source(cut.end..range.end)],
            None => vec![Piece::Source(range.clone())],
        });
    }
}

/// Whether a `let` is part of a chain of conditions.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, visit::visit_block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block, visit::visit_block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block, visit::visit_block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|finder| visit::visit_item_const(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(|finder| visit::visit_item_static(finder, item));
    }

    fn visit_expr_const(&mut self, expr: &'ast syn::ExprConst) {
        self.constant(|finder| visit::visit_expr_const(finder, expr));
    }

    fn visit_type(&mut self, of: &'ast syn::Type) {
        self.constant(|finder| visit::visit_type(finder, of));
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        self.binary(expr);
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        let wanted = self.take("UnaryOperator", expr.op.span());
        if !wanted.is_empty() {
            let (whole, inner) = (expr.span().byte_range(), expr.expr.span().byte_range());
            let op = self.source[expr.op.span().byte_range()].to_owned();
            self.choice(whole, &wanted, |one| {
                let sign = if one.is_some() { "" } else { op.as_str() };
                vec![text(sign), Piece::Source(inner.clone())]
            });
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        self.arms(expr);
        visit::visit_expr_match(self, expr);
    }

    fn visit_expr_struct(&mut self, expr: &'ast syn::ExprStruct) {
        self.fields(expr);
        visit::visit_expr_struct(self, expr);
    }
}
