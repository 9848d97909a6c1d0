//! Throw-away authorities and identities. Keys are made once a run: RSA is slow to generate.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanyard_pki::{Authority, Certificate, KeyUsage, Name, NameAttribute, PrivateKey, Template};

/// A key with its certificate.
pub(crate) struct Identity {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
}

/// A factory as the simulated device has one: root and a device identity.
pub(crate) static FACTORY: LazyLock<Authority> = LazyLock::new(|| authority("Test Device CA", 1));
pub(crate) static FACTORY_DEVICE: LazyLock<Identity> =
    LazyLock::new(|| issue(&FACTORY, "factory identity", 2));

/// Our own authority, two devices enrolled with it, and the server that signs.
pub(crate) static OURS: LazyLock<Authority> = LazyLock::new(|| authority("Test Identity CA", 3));
pub(crate) static DEVICE: LazyLock<Identity> = LazyLock::new(|| issue(&OURS, "device", 4));
pub(crate) static OTHER_DEVICE: LazyLock<Identity> =
    LazyLock::new(|| issue(&OURS, "other device", 5));
pub(crate) static SERVER: LazyLock<Identity> =
    LazyLock::new(|| issue(&FACTORY, "profile signing", 6));

fn template(name: &str, serial: u8, authority: Option<u8>) -> Template {
    let day = Duration::from_secs(24 * 60 * 60);
    let now: SystemTime = UNIX_EPOCH + 20_000 * day;
    let usage = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
    Template {
        subject: Name::new(&[(NameAttribute::CommonName, name)]),
        serial: lanyard_pki::SerialNumber::from_random([serial; 16]),
        not_before: now,
        not_after: now + 365 * day,
        key_usage: match authority {
            Some(_) => KeyUsage::KEY_CERT_SIGN,
            None => usage,
        },
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority,
        permitted_hosts: Vec::new(),
    }
}

pub(crate) fn authority(name: &str, serial: u8) -> Authority {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    Authority::self_signed(key, &template(name, serial, Some(1))).unwrap()
}

pub(crate) fn subordinate(above: &Authority, name: &str, serial: u8) -> Authority {
    let key = PrivateKey::generate_p256().unwrap();
    let certificate = above.danger_issue(&template(name, serial, Some(0)), key.public_key());
    Authority::new(certificate.unwrap(), key).unwrap()
}

pub(crate) fn issue(authority: &Authority, name: &str, serial: u8) -> Identity {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let certificate = authority.danger_issue(&template(name, serial, None), key.public_key());
    Identity {
        key,
        certificate: certificate.unwrap(),
    }
}
