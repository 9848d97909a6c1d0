//! A whole installation on loopback: a server process, the simulated APNs, a factory, devices.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::SystemTime,
};

use lanyard_device::{
    apns::Announcement, device::Device, factory::Factory, http::Client, journal::State,
};
use lanyard_pki::{Certificate, seal::KeyRing};
use lanyard_store::Store;
use tempfile::TempDir;

use crate::{
    database::{self, OnPostgres},
    process::{Process, binary, wait_until},
};

/// The person that devices are enrolled for.
pub const USER: &str = "tester";

const DATABASE_URL: &str = "LANYARD_DATABASE_URL";

/// One installation, below one folder.
pub struct Site {
    root: PathBuf,
    address: SocketAddr,
    /// Where devices find it, if something stands before it.
    before: Option<SocketAddr>,
    /// Overrides of the server's configuration.
    environment: Vec<(String, String)>,
    server: Option<Process>,
    apns: Mutex<Option<Process>>,
    /// What the simulated APNs said when it was last started.
    announcement: Option<Announcement>,
    /// Dropped with the site, if it is on PostgreSQL.
    _database: Option<OnPostgres>,
    /// Removed with the site, if it is a temporary one.
    _temporary: Option<TempDir>,
}

impl Site {
    /// An installation that is gone when this is dropped.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn temporary(init: &[&str]) -> Result<Self, String> {
        let mut site = Self::temporary_on_sqlite(init)?;
        if let Some(database) = database::on_postgres()? {
            site.set(DATABASE_URL, database.url());
            site._database = Some(database);
        }
        Ok(site)
    }

    /// The same, with a file for a database wherever others have theirs.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn temporary_on_sqlite(init: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut site = Self::at(folder.path(), init)?;
        site._temporary = Some(folder);
        Ok(site)
    }

    /// An installation that stays, made if it is not there. `init` is handed to `lanyard init`.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn at(root: &Path, init: &[&str]) -> Result<Self, String> {
        for folder in ["logs", "devices"] {
            fs::create_dir_all(root.join(folder))
                .map_err(|error| format!("{}: {error}", root.display()))?;
        }
        let site = Self {
            root: root.to_owned(),
            address: free_address()?,
            before: None,
            environment: Vec::new(),
            server: None,
            apns: Mutex::new(None),
            announcement: None,
            _database: None,
            _temporary: None,
        };
        if !site.data().join("lanyard.toml").exists() {
            site.lanyard(&[&["init"], init].concat())?;
        }
        run(Command::new(binary("lanyard-device"))
            .arg("factory")
            .arg("--dir")
            .arg(site.factory()))?;
        Ok(site)
    }

    /// Another node of this installation: the same configuration, keys and database.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn another_node(&self) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let root = folder.path().to_owned();
        fs::create_dir(root.join("logs")).map_err(|error| error.to_string())?;
        for (from, to) in [(self.data(), "server"), (self.factory(), "factory")] {
            run(Command::new("cp").arg("-R").args([from, root.join(to)]))?;
        }
        let mut node = Self {
            root,
            address: free_address()?,
            before: None,
            environment: self.environment.clone(),
            server: None,
            apns: Mutex::new(None),
            announcement: self.announcement.clone(),
            _database: None,
            _temporary: Some(folder),
        };
        node.set(DATABASE_URL, self.database_url());
        Ok(node)
    }

    /// Lets devices come through what stands before it, from its next start on.
    pub fn stand_behind(&mut self, before: SocketAddr) {
        self.before = Some(before);
        let url = self.url("");
        self.set("LANYARD_SERVER_PUBLIC_URL", format!("\"{url}\""));
    }

    /// The server's data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("server")
    }

    /// The factory's directory.
    #[must_use]
    pub fn factory(&self) -> PathBuf {
        self.root.join("factory")
    }

    /// The directory of the simulated APNs.
    #[must_use]
    pub fn apns_folder(&self) -> PathBuf {
        self.root.join("apns")
    }

    /// The devices' directories are in here.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.root.join("devices")
    }

    /// The root of the server's TLS and signing certificates.
    #[must_use]
    pub fn server_root(&self) -> PathBuf {
        self.data().join("server/root.pem")
    }

    /// The database's URL.
    #[must_use]
    pub fn database_url(&self) -> String {
        let set = self
            .environment
            .iter()
            .find(|(name, _)| name == DATABASE_URL);
        set.map_or_else(
            || format!("sqlite://{}", self.data().join("lanyard.db").display()),
            |(_, url)| url.clone(),
        )
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the server listen on this port, if it is free.
    pub fn prefer_port(&mut self, port: u16) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            self.address = address;
        }
    }

    /// What devices put before a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let address = self.before.unwrap_or(self.address);
        format!("https://localhost:{}{path}", address.port())
    }

    /// Overrides a key of the server's configuration, as `LANYARD_<SECTION>_<KEY>`, from its next start on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Starts the simulated APNs.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn start_apns(&mut self) -> Result<(), String> {
        let folder = self.apns_folder();
        let ready = folder.join("apns.json");
        let _ = fs::remove_file(&ready);
        // On the same ports as before, so that a server goes on finding it.
        let (listen, device_listen) = match &self.announcement {
            Some(said) => (said.push_address, said.device_address),
            None => (free_address()?, free_address()?),
        };
        self.stop_apns();
        let mut command = Command::new(binary("lanyard-device"));
        command.arg("apns").arg("--dir").arg(&folder);
        command.args([
            "--listen",
            &listen.to_string(),
            "--device-listen",
            &device_listen.to_string(),
        ]);
        let mut process = self.start("apns", &mut command)?;
        let said = wait_until("the simulated APNs", || {
            if !process.is_running() {
                return Some(Err(format!(
                    "the simulated APNs ended:\n{}",
                    process.said()
                )));
            }
            fs::read(&ready)
                .ok()
                .map(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()))
        })??;
        self.put_apns(Some(process));
        self.announcement = Some(said);
        Ok(())
    }

    /// Ends the simulated APNs.
    pub fn stop_apns(&self) {
        self.put_apns(None);
    }

    fn put_apns(&self, process: Option<Process>) {
        *self.apns.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }

    /// What the simulated APNs said of itself.
    ///
    /// # Errors
    /// It was not started.
    pub fn apns(&self) -> Result<&Announcement, String> {
        self.announcement
            .as_ref()
            .ok_or_else(|| "the simulated APNs was not started".to_owned())
    }

    /// Starts the server, and waits until it answers devices.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn start_server(&mut self) -> Result<(), String> {
        let said = self.apns()?.clone();
        let quoted = |path: &Path| format!("\"{}\"", absolute(path).display());
        let mut command = Command::new(binary("lanyard"));
        command
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .env("LANYARD_SERVER_LISTEN", format!("\"{}\"", self.address))
            .env("LANYARD_PUSH_CERTIFICATE", quoted(&said.push_certificate))
            .env("LANYARD_PUSH_HOST", "localhost")
            .env("LANYARD_PUSH_PORT", said.push_address.port().to_string())
            .env("LANYARD_PUSH_ROOTS", quoted(&said.ca))
            .env(
                "LANYARD_ENROLLMENT_FACTORY_ROOTS",
                format!("[{}]", quoted(&self.factory().join("root.pem"))),
            )
            .env("LANYARD_ENROLLMENT_SIGN_INS_PER_NAME", "10000")
            .env("LANYARD_ENROLLMENT_SIGN_INS_PER_ADDRESS", "10000")
            .env("LANYARD_LIMITS_MESSAGES_PER_ADDRESS", "1000000")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = self.start("server", &mut command)?;
        process
            .wait_for("Enroll a device:")
            .map_err(|error| format!("the server: {error}"))?;
        self.server = Some(process);
        Ok(())
    }

    /// Ends the server as a crash would.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// The server's process id, while it runs.
    #[must_use]
    pub fn server_id(&self) -> Option<u32> {
        self.server.as_ref().map(Process::id)
    }

    /// Where the `server`, the `device` or the `apns` writes what it says.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// What the server has said since its last start.
    #[must_use]
    pub fn server_log(&self) -> String {
        self.server.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Runs `lanyard` on this installation; what it prints.
    ///
    /// # Errors
    /// What it says to standard error.
    pub fn lanyard(&self, arguments: &[&str]) -> Result<String, String> {
        run(Command::new(binary("lanyard"))
            .args(arguments)
            .arg("--data")
            .arg(self.data()))
    }

    /// The same with `--json`.
    ///
    /// # Errors
    /// What it says to standard error.
    pub fn lanyard_json(&self, arguments: &[&str]) -> Result<serde_json::Value, String> {
        let json = self.lanyard(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&json).map_err(|error| format!("{error}: {json}"))
    }

    /// A file with this password in it, in the place of the one before.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn password_file(&self, password: &str) -> Result<PathBuf, String> {
        self.secret_file("password", password)
    }

    /// A file in the data directory, where the configuration finds it by name, that only its owner can read.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn secret_file(&self, name: &str, secret: &str) -> Result<PathBuf, String> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.data().join(name);
        fs::write(&file, secret)
            .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// Adds [`USER`] with this password, or gives them it.
    ///
    /// # Errors
    /// What `lanyard user` says.
    pub fn add_user(&self, password: &str) -> Result<PathBuf, String> {
        let file = self.password_file(password)?;
        let file_name = file.display().to_string();
        self.lanyard(&["user", "add", USER, "--password-file", &file_name])
            .or_else(|_| self.lanyard(&["user", "passwd", USER, "--password-file", &file_name]))?;
        Ok(file)
    }

    /// Starts a process that enrolls a device (or several, as `further` says) and lets it be managed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_device(&self, password_file: &Path, further: &[&str]) -> Result<Process, String> {
        self.start_device_of(USER, password_file, further)
    }

    /// The same for another person than [`USER`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_device_of(
        &self,
        user: &str,
        password_file: &Path,
        further: &[&str],
    ) -> Result<Process, String> {
        let mut command = Command::new(binary("lanyard-device"));
        command.args(["enroll", "--url", &self.url("/enroll"), "--user", user]);
        command.arg("--password-file").arg(password_file);
        command.arg("--server-ca").arg(self.server_root());
        command.arg("--factory").arg(self.factory());
        command.arg("--apns").arg(self.apns_folder());
        command.arg("--state").arg(self.devices());
        command.args(further);
        self.start("device", &mut command)
    }

    /// Starts a process in which the devices that are under management go on.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn resume_devices(&self) -> Result<Process, String> {
        let mut command = Command::new(binary("lanyard-device"));
        command.arg("resume").arg("--apns").arg(self.apns_folder());
        command.arg("--state").arg(self.devices());
        self.start("device", &mut command)
    }

    /// A device in this process, fresh from the factory, that trusts the server.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn new_device(&self) -> Result<Device, String> {
        let factory = Factory::open(&self.factory(), SystemTime::now());
        let identity = factory
            .and_then(|factory| factory.issue(SystemTime::now()))
            .map_err(|error| error.to_string())?;
        Ok(Device::new(rand::random(), identity, self.client()?))
    }

    /// An HTTPS client that trusts the server.
    ///
    /// # Errors
    /// A sentence that says what does not work.
    pub fn client(&self) -> Result<Client, String> {
        let root = fs::read(self.server_root()).map_err(|error| error.to_string())?;
        let anchors = Certificate::many_from_pem(&root).map_err(|error| error.to_string())?;
        Client::new(anchors).map_err(|error| error.to_string())
    }

    /// What a device says of itself.
    ///
    /// # Errors
    /// It has not said anything.
    pub fn device_state(&self, udid: &str) -> Result<State, String> {
        let file = self.devices().join(udid).join("state.json");
        let json = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_slice(&json).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// What is stored, to look at only.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn store(&self) -> Result<Store, String> {
        let key = fs::read_to_string(self.data().join("sealing.key"))
            .map_err(|error| error.to_string())?;
        let key = KeyRing::from_text(&key).map_err(|error| error.to_string())?;
        Store::connect_read_only(&self.database_url(), key)
            .await
            .map_err(|error| error.to_string())
    }

    fn start(&self, name: &str, command: &mut Command) -> Result<Process, String> {
        Process::start(command, &self.log(name)).map_err(|error| format!("{name}: {error}"))
    }
}

/// An address on loopback that is free now, and stays so until somebody listens there: its port is one that the system gives to no
/// outgoing connection, and this process to nobody else.
///
/// # Errors
/// There is none.
pub fn free_address() -> Result<SocketAddr, String> {
    // Below the ports of outgoing connections (32,768 on, Linux), of which a suite makes thousands.
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 17_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Elsewhere in another process, which tests beside this one.
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random()));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(format!("no free port on loopback from {FIRST} on"))
}

/// Runs a command to its end; what it prints.
///
/// # Errors
/// What it says to standard error.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
