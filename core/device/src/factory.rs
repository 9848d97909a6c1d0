//! Where simulated devices come from: a throw-away chain in place of Apple's, which gives each device its factory identity.
//!
//! Root, certification authority, device authority and leaf stand to each other as Apple Root CA, Apple iPhone Certification
//! Authority, Apple iPhone Device CA and a device's certificate do (Apple, "Over-the-Air Profile Delivery and
//! Configuration", phase 2); keys are RSA-2048 and signatures SHA-256 throughout.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use lanyard_pki::{Authority, Certificate, KeyUsage, Name, NameAttribute, PrivateKey};

pub use crate::certificates::{AuthorityError, Identity};
use crate::certificates::{authority, end_entity, read_authority, write_certificates, write_key};

/// Apple's device certificates of recent years are valid for about three.
const DEVICE_DAYS: u32 = 3 * 365;

const KEY_BITS: u32 = 2048;

/// The device authority, ready to issue.
#[derive(Debug)]
pub struct Factory {
    device_ca: Authority,
    /// The certificates above the device authority's own, the root last.
    above: Vec<Certificate>,
}

impl Factory {
    /// Makes a new chain; three RSA keys take about a second.
    ///
    /// # Errors
    /// OpenSSL or the certificate writer failed.
    pub fn create(now: SystemTime) -> Result<Factory, AuthorityError> {
        let root = Authority::self_signed(
            PrivateKey::generate_rsa(KEY_BITS)?,
            &authority(name("Simulated Root CA"), 2, now),
        )?;
        let middle = below(&root, "Simulated iPhone Certification Authority", 1, now)?;
        let device_ca = below(&middle, "Simulated iPhone Device CA", 0, now)?;
        Ok(Factory {
            above: vec![middle.certificate().clone(), root.certificate().clone()],
            device_ca,
        })
    }

    /// Reads the chain from `directory`, or makes one and keeps it there: `chain.pem` (device authority, authority, root:
    /// what a server is told to trust), `root.pem` and `device-ca.key`.
    ///
    /// # Errors
    /// Files that cannot be read or written, or that do not belong together.
    pub fn open(directory: &Path, now: SystemTime) -> Result<Factory, AuthorityError> {
        let (chain, key) = (directory.join("chain.pem"), directory.join("device-ca.key"));
        // The chain is written last, so where it is, all is.
        if chain.exists() {
            let (device_ca, above) = read_authority(&chain, &key)?;
            return Ok(Factory { device_ca, above });
        }
        fs::create_dir_all(directory).map_err(|source| AuthorityError::File {
            path: directory.to_owned(),
            source,
        })?;
        let factory = Factory::create(now)?;
        write_key(&key, factory.device_ca.key())?;
        write_certificates(&directory.join("root.pem"), factory.above.last())?;
        write_certificates(&chain, factory.chain())?;
        Ok(factory)
    }

    /// The device authority's certificate and those above it, the root last.
    pub fn chain(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(self.device_ca.certificate()).chain(&self.above)
    }

    /// Makes a device's factory identity. Its name is a UUID that says nothing of the device's UDID, as Apple's do.
    ///
    /// # Errors
    /// OpenSSL or the certificate writer failed.
    pub fn issue(&self, now: SystemTime) -> Result<Identity, AuthorityError> {
        let key = PrivateKey::generate_rsa(KEY_BITS)?;
        let uuid = uuid::Uuid::new_v4().to_string().to_uppercase();
        let mut template = end_entity(name(&uuid), DEVICE_DAYS, now);
        template.key_usage = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
        Ok(Identity {
            certificate: self.device_ca.danger_issue(&template, key.public_key())?,
            chain: self.chain().cloned().collect(),
            key,
        })
    }
}

fn below(
    issuer: &Authority,
    common_name: &str,
    below: u8,
    now: SystemTime,
) -> Result<Authority, AuthorityError> {
    let key = PrivateKey::generate_rsa(KEY_BITS)?;
    let template = authority(name(common_name), below, now);
    let certificate = issuer.danger_issue(&template, key.public_key())?;
    Ok(Authority::new(certificate, key)?)
}

fn name(common_name: &str) -> Name {
    Name::new(&[
        (NameAttribute::Country, "US"),
        (NameAttribute::Organization, "Lanyard Simulated Devices"),
        (NameAttribute::OrganizationalUnit, "iPhone"),
        (NameAttribute::CommonName, common_name),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_pki::Strength;

    #[test]
    fn a_device_chains_to_the_root_and_survives_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let made = Factory::open(directory.path(), now).unwrap();
        let read = Factory::open(directory.path(), now).unwrap();
        assert!(made.chain().eq(read.chain()));

        let identity = read.issue(now).unwrap();
        let chain = identity.full_chain();
        assert_eq!(chain.len(), 4);
        for pair in chain.windows(2) {
            let issuer = pair[1].public_key();
            assert_eq!(pair[0].verify_signed_by(issuer, Strength::Modern), Ok(()));
            assert_eq!(pair[0].issuer(), pair[1].subject());
        }
        let root = chain[3];
        assert_eq!(
            root.verify_signed_by(root.public_key(), Strength::Modern),
            Ok(())
        );
        assert!(identity.certificate.is_valid_at(now) && !identity.certificate.is_authority());
    }
}
