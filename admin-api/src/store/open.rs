//! Opening a store, and beginning units of work on it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{Reader, Session, StoreError, Unit};

/// How long a caller waits for a connection, and so for the one writer of SQLite.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers of a SQLite file, besides the one writer.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 10;

/// The control plane's database. Cheap to clone; all clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
}

#[derive(Clone, Debug)]
enum Pools {
    Postgres(PgPool),
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// `url` is `postgres://..`, `sqlite://path`, `sqlite:path` or a path. A SQLite file is created
    /// if it is missing, readable by its owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] when the database cannot be reached or created,
    /// [`StoreError::Migrate`] when its schema cannot be brought up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::open_postgres(url).await;
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        if path.is_empty() || path.contains("://") || path == ":memory:" {
            return Err(StoreError::Open {
                location: without_password(url),
                detail: "give the path of a SQLite file, or a `postgres://` URL".to_owned(),
            });
        }
        Self::open_sqlite(Path::new(path)).await
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let location = path.display().to_string();
        let failed = |detail: String| StoreError::Open { location: location.clone(), detail };
        create_private(path).map_err(|error| {
            failed(format!("{error}; the folder must exist and be writable, and the file belong to this user"))
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(|error| failed(error.to_string()))?;
        sqlx::migrate!("../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate { location: location.clone(), source })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { pools: Pools::Sqlite { writer, readers } })
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let location = without_password(url);
        let failed = |detail: String| StoreError::Open { location: location.clone(), detail };
        let options =
            PgConnectOptions::from_str(url).map_err(|error| failed(error.to_string()))?.application_name("cordon");
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        sqlx::migrate!("../migrations/postgres")
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { location: location.clone(), source })?;
        Ok(Self { pools: Pools::Postgres(pool) })
    }

    /// Begins a unit of work; `name` says what for, in errors and logs (`account.create`).
    ///
    /// On SQLite this waits until no other unit is open, ten seconds at most: do not hold a unit
    /// across anything slow.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when another unit was held for too long, [`StoreError::Database`] when
    /// the database cannot be reached.
    pub async fn begin(&self, name: &'static str) -> Result<Unit, StoreError> {
        let session = match &self.pools {
            Pools::Postgres(pool) => Box::pin(pool.begin()).await.map(|link| Session::postgres(name, link)),
            // IMMEDIATE takes the write lock now: a unit that reads first could not get it later
            // once somebody else has written.
            Pools::Sqlite { writer, .. } => {
                Box::pin(writer.begin_with("BEGIN IMMEDIATE")).await.map(|link| Session::sqlite(name, link))
            }
        };
        Ok(Unit::new(session.map_err(|error| unavailable(name, error))?))
    }

    /// Begins to read: a consistent snapshot for as long as the reader is held.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when all connections are taken, [`StoreError::Database`] when the
    /// database cannot be reached.
    pub async fn read(&self) -> Result<Reader, StoreError> {
        let name = "read";
        let session = match &self.pools {
            Pools::Postgres(pool) => Box::pin(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
                .await
                .map(|link| Session::postgres(name, link)),
            Pools::Sqlite { readers, .. } => {
                Box::pin(readers.begin_with("BEGIN DEFERRED")).await.map(|link| Session::sqlite(name, link))
            }
        };
        Ok(Reader::new(session.map_err(|error| unavailable(name, error))?))
    }

    /// Closes all connections; units and readers still open are waited for.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

fn unavailable(unit: &'static str, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolTimedOut => StoreError::Busy { unit },
        // SQLITE_BUSY: another process has the file.
        sqlx::Error::Database(error) if error.code().as_deref() == Some("5") => StoreError::Busy { unit },
        source => StoreError::Database { unit, source },
    }
}

/// Creates the file for its owner alone if it is missing, and takes other users' rights away if it is not.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    let file =
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut permissions = file.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions)?;
    }
    file.sync_all()?;
    // SQLite gives its `-wal` and `-shm` files the rights of the main file.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    std::fs::File::open(folder)?.sync_all()
}

/// A URL that may be shown: the password between `:` and `@` is cut out.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((who, place)) => format!("{scheme}://{}@{place}", who.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}
