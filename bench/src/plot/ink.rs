//! The colours and type of a plot, for light and dark pages alike: a card of its own, whose colours follow the
//! reader's preference.

/// Style of every plot. Curves differ in marker and dash too, for whoever does not see the colours.
pub(super) const STYLE: &str = "\
  .card{fill:#ffffff;stroke:#d0d7de}\n\
  .line{stroke:#d8dee4;stroke-width:1}\n\
  text{fill:#1f2328;font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}\n\
  .title{font-size:14px;font-weight:600}\n\
  .curve{fill:none;stroke-width:2.25;stroke-linejoin:round}\n\
  .range{stroke-width:1.25;opacity:.55}\n\
  .c0{stroke:#1f5fd0}.m0{fill:#1f5fd0}\n\
  .c1{stroke:#c2570c}.m1{fill:#c2570c}\n\
  .c2{stroke:#6e7781;stroke-dasharray:5 4}.m2{fill:#6e7781}\n\
  @media (prefers-color-scheme:dark){\n\
  .card{fill:#0d1117;stroke:#30363d}\n\
  .line{stroke:#2a3139}\n\
  text{fill:#e6edf3}\n\
  .c0{stroke:#6ea8fe}.m0{fill:#6ea8fe}\n\
  .c1{stroke:#f0a05a}.m1{fill:#f0a05a}\n\
  .c2{stroke:#9aa4ae}.m2{fill:#9aa4ae}\n\
  }\n";

/// The curve's place among the colours: the limit has the last, whoever else there is.
pub(super) const LIMIT_INK: usize = 2;

/// A marker of `curve` at a place.
pub(super) fn marker(curve: usize, x: f64, y: f64) -> String {
    match curve {
        0 => format!("<circle class=\"m0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n"),
        1 => format!("<rect class=\"m1\" x=\"{:.1}\" y=\"{:.1}\" width=\"7.5\" height=\"7.5\"/>\n", x - 3.75, y - 3.75),
        _ => format!("<circle class=\"m2\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>\n"),
    }
}
