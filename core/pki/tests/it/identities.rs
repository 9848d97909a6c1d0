//! Keys and certificates that the tests share; made once, because RSA keys take their time.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lanyard_pki::{
    Authority, Certificate, ExtendedKeyUsage, KeyUsage, Name, NameAttribute, PrivateKey, Template,
};

#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Valid from 2020 to 2096: the `openssl` command line looks at the clock.
pub(crate) fn template(subject: &str, serial: u8) -> Template {
    Template {
        subject: Name::new(&[
            (NameAttribute::Organization, "Example"),
            (NameAttribute::CommonName, subject),
        ]),
        serial: lanyard_pki::SerialNumber::from_random([serial; 16]),
        not_before: at(1_600_000_000),
        not_after: at(4_000_000_000),
        key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT),
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    }
}

pub(crate) fn authority_template(subject: &str, serial: u8, below: u8) -> Template {
    Template {
        key_usage: KeyUsage::KEY_CERT_SIGN.and(KeyUsage::CRL_SIGN),
        authority: Some(below),
        ..template(subject, serial)
    }
}

pub(crate) static ROOT: LazyLock<Authority> = LazyLock::new(|| {
    let key = PrivateKey::generate_p256().unwrap();
    Authority::self_signed(key, &authority_template("root", 1, 1)).unwrap()
});

pub(crate) static INTERMEDIATE: LazyLock<Authority> = LazyLock::new(|| {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let certificate = ROOT
        .danger_issue(&authority_template("intermediate", 2, 0), key.public_key())
        .unwrap();
    Authority::new(certificate, key).unwrap()
});

fn issued(subject: &str, serial: u8, key: PrivateKey) -> Identity {
    let template = Template {
        extended_key_usage: vec![ExtendedKeyUsage::ClientAuth],
        ..template(subject, serial)
    };
    let certificate = INTERMEDIATE
        .danger_issue(&template, key.public_key())
        .unwrap();
    Identity { key, certificate }
}

pub(crate) static RSA: LazyLock<Identity> =
    LazyLock::new(|| issued("rsa", 3, PrivateKey::generate_rsa(2048).unwrap()));

pub(crate) static EC: LazyLock<Identity> =
    LazyLock::new(|| issued("ec", 4, PrivateKey::generate_p256().unwrap()));

pub(crate) static OTHER: LazyLock<Identity> =
    LazyLock::new(|| issued("other", 5, PrivateKey::generate_rsa(2048).unwrap()));

/// The key of [`OTHER`] under the very name and serial number of [`RSA`]: only the key tells them apart.
pub(crate) static IMPOSTOR: LazyLock<Identity> =
    LazyLock::new(|| issued("rsa", 3, OTHER.key.clone()));
