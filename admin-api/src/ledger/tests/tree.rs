//! The tree: RFC 6962's vectors, and every proof of every small tree against a naive model.

use data_encoding::HEXLOWER;

use crate::ledger::tree::{Range, consistency_ranges, fold, inclusion_ranges, leaf_hash, node_hash, subtrees};
use crate::ledger::{ConsistencyProof, Digest, Edge, InclusionProof};

/// MTH(D) as the RFC writes it.
fn naive_root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(naive_split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn naive_split(length: usize) -> usize {
    let mut split = 1;
    while split * 2 < length {
        split *= 2;
    }
    split
}

/// PATH(m, D).
fn naive_path(index: usize, leaves: &[Vec<u8>]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let split = naive_split(leaves.len());
    let (left, right) = leaves.split_at(split);
    let (mut path, beside) =
        if index < split { (naive_path(index, left), right) } else { (naive_path(index - split, right), left) };
    path.push(naive_root(beside));
    path
}

/// SUBPROOF(m, D, b).
fn naive_subproof(old: usize, leaves: &[Vec<u8>], from_start: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if from_start { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let split = naive_split(leaves.len());
    let (left, right) = leaves.split_at(split);
    let (mut proof, beside) = if old <= split {
        (naive_subproof(old, left, from_start), right)
    } else {
        (naive_subproof(old - split, right, false), left)
    };
    proof.push(naive_root(beside));
    proof
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number as u8; number % 5]).collect()
}

/// The root of a range by complete subtrees, each taken from the model.
fn range_root(leaves: &[Vec<u8>], range: Range) -> Digest {
    let parts: Vec<Digest> = subtrees(range)
        .into_iter()
        .map(|(level, position)| {
            let (start, length) = ((position << level) as usize, 1 << level);
            naive_root(&leaves[start..start + length])
        })
        .collect();
    fold(&parts)
}

#[test]
fn roots_are_those_of_the_certificate_transparency_vectors() {
    let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut edge = Edge::default();
    assert_eq!(edge.root(), Digest::of(b""));
    for (input, root) in inputs.iter().zip(roots) {
        edge.append(leaf_hash(&HEXLOWER.decode(input.as_bytes()).unwrap()), |_, _, _| {});
        assert_eq!(edge.root().to_string(), root, "{} leaves", edge.size());
    }
}

#[test]
fn edge_and_completed_subtrees_agree_with_the_model() {
    let leaves = leaves(130);
    let mut edge = Edge::default();
    for (count, leaf) in (1..).zip(&leaves) {
        edge.append(leaf_hash(leaf), |level, position, root| {
            let (start, length) = ((position << level) as usize, 1 << level);
            assert_eq!(root, naive_root(&leaves[start..start + length]), "level {level}, position {position}");
            assert_eq!(start + length, count, "a subtree is told when its last leaf comes");
        });
        assert_eq!(edge.root(), naive_root(&leaves[..count]), "{count} leaves");
        assert_eq!(Edge::from_bytes(edge.size(), &edge.to_bytes()), Some(edge.clone()));
        assert_eq!(
            Edge::from_bytes(edge.size() + 1, &edge.to_bytes()).is_some(),
            edge.size() % 2 == 1 && (edge.size() + 1).count_ones() == edge.size().count_ones()
        );
    }
    assert_eq!(Edge::from_bytes(1, &[0; 31]), None);
    assert_eq!(Edge::from_bytes(1, &[0; 33]), None);
}

#[test]
fn inclusion_proofs_agree_with_the_model_and_prove_nothing_else() {
    for size in 1..=40_usize {
        let leaves = leaves(size);
        let root = naive_root(&leaves);
        for index in 0..size {
            let ranges = inclusion_ranges(index as u64, size as u64);
            let path: Vec<Digest> = ranges.into_iter().map(|range| range_root(&leaves, range)).collect();
            assert_eq!(path, naive_path(index, &leaves), "{index} of {size}");
            let proof = InclusionProof { index: index as u64, size: size as u64, path };
            assert_eq!(proof.verify(&leaves[index], &root), Ok(()), "{index} of {size}");

            assert!(proof.verify(b"another leaf", &root).is_err());
            assert!(proof.verify(&leaves[index], &Digest::ZERO).is_err());
            for at in 0..proof.path.len() {
                let mut changed = proof.clone();
                changed.path[at].0[31] ^= 1;
                assert!(changed.verify(&leaves[index], &root).is_err(), "{index} of {size}, hash {at}");
                changed = proof.clone();
                changed.path.remove(at);
                assert!(changed.verify(&leaves[index], &root).is_err(), "{index} of {size}, without {at}");
            }
            let mut longer = proof.clone();
            longer.path.push(root);
            assert!(longer.verify(&leaves[index], &root).is_err());
            let outside = InclusionProof { index: size as u64, ..proof.clone() };
            assert!(outside.verify(&leaves[index], &root).is_err());
        }
    }
}

#[test]
fn consistency_proofs_agree_with_the_model_and_prove_nothing_else() {
    for size in 0..=40_usize {
        let leaves = leaves(size);
        let root = naive_root(&leaves);
        for old in 0..=size {
            let old_root = naive_root(&leaves[..old]);
            let ranges = consistency_ranges(old as u64, size as u64);
            let path: Vec<Digest> = ranges.into_iter().map(|range| range_root(&leaves, range)).collect();
            if old > 0 {
                assert_eq!(path, naive_subproof(old, &leaves, true), "{old} of {size}");
            }
            let proof = ConsistencyProof { old_size: old as u64, size: size as u64, path };
            assert_eq!(proof.verify(&old_root, &root), Ok(()), "{old} of {size}");

            assert!(proof.verify(&Digest::ZERO, &root).is_err(), "{old} of {size}, other old root");
            if old > 0 {
                assert!(proof.verify(&old_root, &Digest::ZERO).is_err(), "{old} of {size}, other root");
            }
            for at in 0..proof.path.len() {
                let mut changed = proof.clone();
                changed.path[at].0[0] ^= 1;
                assert!(changed.verify(&old_root, &root).is_err(), "{old} of {size}, hash {at}");
                changed = proof.clone();
                changed.path.remove(at);
                assert!(changed.verify(&old_root, &root).is_err(), "{old} of {size}, without {at}");
            }
            let mut longer = proof.clone();
            longer.path.push(root);
            assert!(longer.verify(&old_root, &root).is_err());
        }
        let backwards = ConsistencyProof { old_size: size as u64 + 1, size: size as u64, path: Vec::new() };
        assert!(backwards.verify(&root, &root).is_err());
    }
}
