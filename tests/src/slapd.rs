//! OpenLDAP's server with a few persons in it, on loopback ports of its own, without privileges.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::openssl::make_certificates;
use crate::site::free_address;

/// What everything is below.
pub const BASE: &str = "dc=example,dc=org";
/// The account that searches.
pub const SERVICE_DN: &str = "cn=lanyard,dc=example,dc=org";
/// Its password.
pub const SERVICE_PASSWORD: &str = "only for searching";
/// What `ada` (of the group `staff`), `bob` (of none) and `eve` (whose account is disabled, as `employeeType` says) sign in with.
pub const PASSWORD: &str = "correct horse";

const CONFIGURATION: &str = "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile @/ca.pem
TLSCertificateFile @/server.pem
TLSCertificateKeyFile @/server.key
database mdb
suffix \"dc=example,dc=org\"
rootdn \"cn=lanyard,dc=example,dc=org\"
rootpw \"only for searching\"
directory @/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
";

const PERSONS: &str = "\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=staff,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: staff
member: uid=ada,ou=people,dc=example,dc=org
";

/// How often it is looked whether it listens.
const POLL: Duration = Duration::from_millis(10);

/// A running slapd. It ends with this value.
#[derive(Debug)]
pub struct Slapd {
    process: Child,
    folder: TempDir,
    ldap: u16,
    ldaps: u16,
}

impl Slapd {
    /// Starts one, with a certificate for `localhost` under an authority of its own.
    ///
    /// # Panics
    /// If slapd (Debian: `slapd`) is not there, or does not start: with what it said.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        make_certificates(at);
        let written = CONFIGURATION.replace('@', &at.display().to_string());
        fs::write(at.join("slapd.conf"), written).expect("written");
        fs::write(at.join("persons.ldif"), persons()).expect("written");
        load(at);
        let (ldap, ldaps) = (port(), port());
        let process = launch(at, ldap, ldaps);
        Self {
            process,
            folder,
            ldap,
            ldaps,
        }
    }

    /// `ldap://localhost:…`
    #[must_use]
    pub fn url(&self) -> String {
        format!("ldap://localhost:{}", self.ldap)
    }

    /// `ldaps://localhost:…`
    #[must_use]
    pub fn secure_url(&self) -> String {
        format!("ldaps://localhost:{}", self.ldaps)
    }

    /// The authority that vouches for it, PEM.
    ///
    /// # Panics
    /// If its file is gone.
    #[must_use]
    pub fn ca(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("ca.pem")).expect("the authority's file")
    }

    /// Stops it; its ports stay closed until [`restart`](Self::restart).
    ///
    /// # Panics
    /// If it cannot be stopped.
    pub fn stop(&mut self) {
        self.process.kill().expect("it can be stopped");
        self.process.wait().expect("it ends");
    }

    /// Disables a person's account. It is stopped for that, and started again with all that it knew.
    ///
    /// # Panics
    /// If the person is not there, or slapd does not stop or start.
    pub fn disable(&mut self, uid: &str) {
        self.stop();
        let at = self.folder.path();
        // slapmodify would give the entry another entryUUID, and make another person of it.
        let written = offline(at, "slapcat", &[]);
        let (before, rest) = written
            .split_once(&format!("dn: uid={uid},"))
            .expect("the person is there");
        let rest = rest.replacen("employeeType: active", "employeeType: disabled", 1);
        let changed = format!("{before}dn: uid={uid},{rest}");
        assert_ne!(changed, written, "{uid} was not active");
        fs::write(at.join("persons.ldif"), changed).expect("written");
        fs::remove_dir_all(at.join("data")).expect("it is stopped");
        load(at);
        self.restart();
    }

    /// Starts it again, on the same ports and with the same persons.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.process = launch(self.folder.path(), self.ldap, self.ldaps);
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn persons() -> String {
    let persons = [("ada", "active"), ("bob", "active"), ("eve", "disabled")];
    let entries = persons.map(|(uid, state)| {
        format!(
            "\ndn: uid={uid},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid} Example\nsn: Example\n\
             employeeType: {state}\nuserPassword: {PASSWORD}\n"
        )
    });
    format!("{PERSONS}{}", entries.concat())
}

/// Fills a new database.
fn load(at: &Path) {
    fs::create_dir(at.join("data")).expect("a folder");
    let persons = at.join("persons.ldif").display().to_string();
    offline(at, "slapadd", &["-l", &persons]);
}

/// Runs one of slapd's own tools on the database of a server that does not run; what it prints.
fn offline(at: &Path, tool: &str, arguments: &[&str]) -> String {
    let done = Command::new(Path::new("/usr/sbin").join(tool))
        .arg("-f")
        .arg(at.join("slapd.conf"))
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{tool} cannot be run (package slapd): {error}"));
    assert!(
        done.status.success(),
        "{tool}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("LDIF is text")
}

fn port() -> u16 {
    free_address().expect("a port").port()
}

fn launch(at: &Path, ldap: u16, ldaps: u16) -> Child {
    let mut process = Command::new("/usr/sbin/slapd")
        .arg("-f")
        .arg(at.join("slapd.conf"))
        .arg("-h")
        .arg(format!("ldap://127.0.0.1:{ldap} ldaps://127.0.0.1:{ldaps}"))
        // With a level of messages it stays in the foreground.
        .args(["-d", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("slapd cannot be run (package slapd): {error}"));
    let patience = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, ldap)).is_err() {
        let ended = process.try_wait().expect("its state is known");
        assert!(ended.is_none(), "slapd ended at once: {ended:?}");
        assert!(Instant::now() < patience, "slapd does not listen");
        std::thread::sleep(POLL);
    }
    process
}
