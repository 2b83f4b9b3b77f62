//! A disk in memory that forgets what was not synced, tears it, and refuses when it is told to.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::disk::{Disk, DiskFile, Limits};

/// Unsynced bytes come or stay away by pieces of this size.
const SECTOR: usize = 64;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Debug, Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Naming {
    Is(PathBuf, usize),
    IsNot(PathBuf),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The power goes: this operation and all later ones fail.
    Crash,
    /// This operation fails for no good reason.
    Refuse,
    /// From this operation on nothing can be added, for so many operations.
    Full(u64),
}

#[derive(Debug)]
struct Inner {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    naming: Vec<Naming>,
    operations: u64,
    /// Bytes that were read.
    read: u64,
    trouble: Option<(u64, Trouble)>,
    random: StdRng,
}

/// The disk.
#[derive(Debug)]
pub(super) struct Sim {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct SimFile {
    inner: Arc<Mutex<Inner>>,
    node: usize,
}

impl Inner {
    /// Counts an operation, and fails it if that is its turn.
    fn operation(&mut self, adds: bool) -> io::Result<()> {
        self.operations += 1;
        let Some((at, trouble)) = self.trouble else { return Ok(()) };
        if self.operations < at {
            return Ok(());
        }
        match trouble {
            Trouble::Crash => Err(io::Error::other("the power is gone")),
            Trouble::Refuse => {
                if self.operations == at {
                    Err(io::Error::other("refused"))
                } else {
                    Ok(())
                }
            }
            Trouble::Full(count) if adds && self.operations < at + count => Err(ErrorKind::StorageFull.into()),
            Trouble::Full(_) => Ok(()),
        }
    }

    fn node(&mut self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn apply(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            to.resize(to.len().max(end), 0);
            to[*at as usize..end].copy_from_slice(bytes);
        }
        Change::Len(len) => to.resize(*len as usize, 0),
    }
}

impl Sim {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let inner = Inner {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            naming: Vec::new(),
            operations: 0,
            read: 0,
            trouble: None,
            random: StdRng::seed_from_u64(seed),
        };
        Arc::new(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Something goes wrong so many operations from now.
    pub(super) fn trouble(&self, after: u64, trouble: Trouble) {
        let mut inner = self.inner.lock();
        inner.trouble = Some((inner.operations + after, trouble));
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&self) {
        self.inner.lock().trouble = None;
    }

    /// Bytes that were read so far.
    pub(super) fn read_so_far(&self) -> u64 {
        self.inner.lock().read
    }

    pub(super) fn bytes(&self) -> u64 {
        let inner = self.inner.lock();
        inner.names.values().map(|node| inner.nodes[*node].current.len() as u64).sum()
    }

    /// The power goes, and comes back: of what was not synced, any part may be there.
    pub(super) fn crash(&self) {
        let mut inner = self.inner.lock();
        let Inner { nodes, names, durable_names, naming, random, .. } = &mut *inner;
        for node in nodes {
            for change in std::mem::take(&mut node.pending) {
                match (random.gen_range(0..4), change) {
                    (0, _) => {}
                    (1, Change::Write(at, bytes)) => {
                        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                            if random.gen_bool(0.6) {
                                let at = at + (number * SECTOR) as u64;
                                apply(&mut node.durable, &Change::Write(at, sector.to_vec()));
                            }
                        }
                    }
                    (2, Change::Write(at, bytes)) => {
                        let len = random.gen_range(0..=bytes.len());
                        apply(&mut node.durable, &Change::Write(at, bytes[..len].to_vec()));
                    }
                    (_, change) => apply(&mut node.durable, &change),
                }
            }
            node.current.clone_from(&node.durable);
        }
        for change in std::mem::take(naming) {
            if random.gen_bool(0.5) {
                rename(durable_names, &change);
            }
        }
        names.clone_from(durable_names);
        inner.trouble = None;
    }

    /// The files of the stream and what is in them.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.inner.lock();
        inner.names.iter().map(|(path, node)| (path.clone(), inner.nodes[*node].current.clone())).collect()
    }

    /// Puts other bytes into a file, or takes it away.
    pub(super) fn put(&self, path: &Path, bytes: Option<Vec<u8>>) {
        let mut inner = self.inner.lock();
        let Some(bytes) = bytes else {
            inner.names.remove(path);
            inner.durable_names.remove(path);
            return;
        };
        let node = Node { durable: bytes.clone(), current: bytes, pending: Vec::new() };
        inner.nodes.push(node);
        let at = inner.nodes.len() - 1;
        inner.names.insert(path.to_owned(), at);
        inner.durable_names.insert(path.to_owned(), at);
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, change: &Naming) {
    match change {
        Naming::Is(path, node) => {
            names.retain(|_, other| other != node);
            names.insert(path.clone(), *node);
        }
        Naming::IsNot(path) => {
            names.remove(path);
        }
    }
}

impl Disk for Sim {
    fn create_dir(&self, _: &Path) -> io::Result<bool> {
        self.inner.lock().operation(true).map(|()| false)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let here = inner.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(here
            .map(|(path, node)| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), inner.nodes[*node].current.len() as u64)
            })
            .collect())
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner.lock();
        inner.operation(new)?;
        if new {
            if inner.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            inner.nodes.push(Node::default());
            let node = inner.nodes.len() - 1;
            inner.names.insert(path.to_owned(), node);
            inner.naming.push(Naming::Is(path.to_owned(), node));
        }
        let node = inner.node(path)?;
        Ok(Arc::new(SimFile { inner: Arc::clone(&self.inner), node }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let node = inner.node(path)?;
        inner.read += inner.nodes[node].current.len() as u64;
        Ok(inner.nodes[node].current.clone())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let node = inner.node(from)?;
        inner.names.remove(from);
        inner.names.insert(to.to_owned(), node);
        inner.naming.push(Naming::Is(to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        if inner.names.remove(path).is_some() {
            inner.naming.push(Naming::IsNot(path.to_owned()));
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        inner.names.retain(|name, _| !name.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let Inner { durable_names, naming, .. } = &mut *inner;
        naming.drain(..).for_each(|change| rename(durable_names, &change));
        Ok(())
    }

    fn has_background(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        // Everything that only large streams do.
        Limits { rewrite: 0, read_all: 1500, checkpoint: 3000, table: 700, journal: 2000, shelf: 20, ahead: 600 }
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let done = inner.operation(true);
        // A write that fails may have written some of it.
        let some = if done.is_ok() { bytes.len() } else { inner.random.gen_range(0..=bytes.len()) };
        let node = &mut inner.nodes[self.node];
        let change = Change::Write(offset, bytes[..some].to_vec());
        apply(&mut node.current, &change);
        node.pending.push(change);
        done
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let current = &inner.nodes[self.node].current;
        let rest = current.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        inner.read += len as u64;
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let node = &mut inner.nodes[self.node];
        node.durable.clone_from(&node.current);
        node.pending.clear();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        let node = &mut inner.nodes[self.node];
        apply(&mut node.current, &Change::Len(len));
        node.pending.push(Change::Len(len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut inner = self.inner.lock();
        inner.operation(false)?;
        Ok(inner.nodes[self.node].current.len() as u64)
    }
}
