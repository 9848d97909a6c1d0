//! The throw-away authority behind the simulated APNs: what Apple and its push portal are to the real one.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lanyard_pki::{
    AlternativeName, Authority, Certificate, ExtendedKeyUsage, Name, NameAttribute, PrivateKey,
    pkcs12,
};

use crate::certificates::{
    AuthorityError, Identity, authority, end_entity, read_authority, write, write_certificates,
    write_key,
};
use crate::file::Readers;

/// As Apple's push certificates.
const PUSH_DAYS: u32 = 365;

const SERVER_DAYS: u32 = 365;

/// Protects nothing: the key lies beside the file, in PEM.
pub const PKCS12_PASSWORD: &str = "throw-away";

/// Signs the server's certificate and push certificates.
#[derive(Debug)]
pub struct PushAuthority(Authority);

/// The files of a push certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushFiles {
    /// Certificate and private key in one PEM file.
    pub pem: PathBuf,
    /// The same as PKCS#12, with [`PKCS12_PASSWORD`].
    pub pkcs12: PathBuf,
    /// The topic in it.
    pub topic: String,
}

impl PushAuthority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// OpenSSL or the certificate writer failed.
    pub fn create(now: SystemTime) -> Result<PushAuthority, AuthorityError> {
        let key = PrivateKey::generate_p256()?;
        let template = authority(name("Simulated APNs CA"), 0, now);
        Ok(PushAuthority(Authority::self_signed(key, &template)?))
    }

    /// Reads the authority from `directory`, or makes one and keeps it there as `ca.pem` and `ca.key`.
    ///
    /// # Errors
    /// Files that cannot be read or written, or that do not belong together.
    pub fn open(directory: &Path, now: SystemTime) -> Result<PushAuthority, AuthorityError> {
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        // The certificate is written last, so where it is, the key is.
        if certificate.exists() {
            return Ok(PushAuthority(read_authority(&certificate, &key)?.0));
        }
        fs::create_dir_all(directory).map_err(|source| AuthorityError::File {
            path: directory.to_owned(),
            source,
        })?;
        let made = PushAuthority::create(now)?;
        write_key(&key, made.0.key())?;
        write_certificates(&certificate, [made.certificate()])?;
        Ok(made)
    }

    /// The certificate to trust.
    pub fn certificate(&self) -> &Certificate {
        self.0.certificate()
    }

    /// An identity for TLS servers on this machine: `localhost`, 127.0.0.1 and ::1.
    ///
    /// # Errors
    /// OpenSSL or the certificate writer failed.
    pub fn server(&self, now: SystemTime) -> Result<Identity, AuthorityError> {
        let mut template = end_entity(name("localhost"), SERVER_DAYS, now);
        template.extended_key_usage = vec![ExtendedKeyUsage::ServerAuth];
        template.alternative_names = vec![
            AlternativeName::Dns("localhost".to_owned()),
            AlternativeName::Ip(Ipv4Addr::LOCALHOST.into()),
            AlternativeName::Ip(Ipv6Addr::LOCALHOST.into()),
        ];
        self.issue(PrivateKey::generate_p256()?, &template)
    }

    /// A push certificate for `topic`, with an RSA-2048 key as Apple's have.
    ///
    /// # Errors
    /// OpenSSL or the certificate writer failed.
    pub fn push_certificate(
        &self,
        topic: &str,
        now: SystemTime,
    ) -> Result<Identity, AuthorityError> {
        let common_name = match topic.rsplit_once('.') {
            Some((_, last)) => format!("APSP:{last}"),
            None => format!("APSP:{topic}"),
        };
        let subject = Name::new(&[
            (NameAttribute::UserId, topic),
            (NameAttribute::CommonName, &common_name),
            (NameAttribute::Country, "US"),
        ]);
        let mut template = end_entity(subject, PUSH_DAYS, now);
        template.extended_key_usage = vec![ExtendedKeyUsage::ClientAuth];
        self.issue(PrivateKey::generate_rsa(2048)?, &template)
    }

    /// The push certificate kept in `directory` as `push.pem` and `push.p12`, made with a topic of its own if there is none.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn push_files(
        &self,
        directory: &Path,
        now: SystemTime,
    ) -> Result<PushFiles, AuthorityError> {
        let (pem, pkcs12) = (directory.join("push.pem"), directory.join("push.p12"));
        if let Ok(text) = fs::read(&pem) {
            let certificate = Certificate::many_from_pem(&text)?.remove(0);
            let topic = topic(&certificate).unwrap_or_default();
            return Ok(PushFiles { pem, pkcs12, topic });
        }
        let topic = format!("com.apple.mgmt.External.{}", uuid::Uuid::new_v4());
        let push = self.push_certificate(&topic, now)?;
        let file = pkcs12::write(&push.key, &push.certificate, PKCS12_PASSWORD)?;
        write(&pkcs12, &file, Readers::Owner)?;
        let text = format!("{}{}", push.certificate.to_pem(), *push.key.to_pem()?);
        write(&pem, text.as_bytes(), Readers::Owner)?;
        Ok(PushFiles { pem, pkcs12, topic })
    }

    fn issue(
        &self,
        key: PrivateKey,
        template: &lanyard_pki::Template,
    ) -> Result<Identity, AuthorityError> {
        Ok(Identity {
            certificate: self.0.danger_issue(template, key.public_key())?,
            chain: vec![self.certificate().clone()],
            key,
        })
    }
}

/// The topic of a push certificate: the UID of its subject.
pub(super) fn topic(certificate: &Certificate) -> Option<String> {
    certificate.subject().attribute(NameAttribute::UserId)
}

fn name(common_name: &str) -> Name {
    Name::new(&[
        (NameAttribute::Organization, "Lanyard Simulated APNs"),
        (NameAttribute::CommonName, common_name),
    ])
}
