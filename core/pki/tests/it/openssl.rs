//! The `openssl` command line agrees: it takes what is written here, and what it writes is read here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lanyard_pki::{
    AlternativeName, Authority, Certificate, CertificationRequest, Digest, ExtendedKeyUsage,
    KeyUsage, Name, NameAttribute, PrivateKey, Strength, Template,
    cms::{self, Attribute, Cipher, CmsError, Envelope, SignedMessage, Signer},
    oid, pkcs12,
};

use crate::identities::{EC, INTERMEDIATE, Identity, ROOT, RSA, at, template};

const CONTENT: &[u8] = b"a text of\nmore than one line\n";

/// A directory with the files of one test.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("root.pem", ROOT.certificate().to_pem());
        desk.put("intermediate.pem", INTERMEDIATE.certificate().to_pem());
        desk.put("content", CONTENT);
        for (name, identity) in [("rsa", &*RSA), ("ec", &*EC)] {
            desk.put(&format!("{name}.pem"), identity.certificate.to_pem());
            desk.put(&format!("{name}.key"), identity.key.to_pem().unwrap());
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn take(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs the command line and returns what it said on both channels.
    fn openssl(&self, arguments: &str) -> Result<String, String> {
        run(self.0.path(), arguments)
    }
}

fn run(directory: &Path, arguments: &str) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("the openssl command line is needed: `cargo xtask up` or `cargo xtask test` installs it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("openssl {arguments}\n{said}"))
    }
}

#[test]
fn it_verifies_what_is_signed() {
    let desk = Desk::new();
    let chain = [INTERMEDIATE.certificate().clone()];
    for identity in [&*RSA, &*EC] {
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            let signer = || {
                Signer::new(&identity.key, &identity.certificate)
                    .chain(&chain)
                    .digest(digest)
            };
            let attributes = || {
                signer()
                    .signing_time(at(1_700_000_000))
                    .attribute(Attribute::printable(oid::CHALLENGE_PASSWORD, b"value"))
            };
            for attached in [
                attributes(),
                signer().without_attributes(),
                signer().signing_time(at(3_000_000_000)),
            ] {
                desk.put("message", attached.sign(CONTENT).unwrap());
                desk.openssl("cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any -out out")
                    .unwrap();
                assert_eq!(desk.take("out"), CONTENT);
            }
            for detached in [
                attributes().detached(),
                signer().without_attributes().detached(),
            ] {
                desk.put("message", detached.sign(CONTENT).unwrap());
                desk.openssl(
                    "cms -verify -binary -inform DER -in message -content content -CAfile root.pem -purpose any -out out",
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn it_refuses_what_was_changed() {
    let desk = Desk::new();
    let chain = [INTERMEDIATE.certificate().clone()];
    let mut message = Signer::new(&RSA.key, &RSA.certificate)
        .chain(&chain)
        .sign(CONTENT)
        .unwrap();
    let at = message
        .windows(CONTENT.len())
        .position(|window| window == CONTENT)
        .unwrap();
    message[at] ^= 1;
    desk.put("message", message);
    desk.openssl("cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any")
        .unwrap_err();
}

#[test]
fn it_decrypts_what_is_encrypted() {
    let desk = Desk::new();
    for cipher in [
        Cipher::Aes128Cbc,
        Cipher::Aes192Cbc,
        Cipher::Aes256Cbc,
        Cipher::TripleDesCbc,
    ] {
        let message = cms::encrypt(CONTENT, &RSA.certificate, cipher).unwrap();
        desk.put("message", message);
        desk.openssl(
            "cms -decrypt -binary -inform DER -in message -recip rsa.pem -inkey rsa.key -out out",
        )
        .unwrap();
        assert_eq!(desk.take("out"), CONTENT);
    }
}

#[test]
fn it_accepts_the_chains_that_are_issued() {
    let desk = Desk::new();
    for leaf in ["rsa.pem", "ec.pem"] {
        desk.openssl(&format!(
            "verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted intermediate.pem {leaf}"
        ))
        .unwrap();
    }
    let server = Template {
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
        alternative_names: vec![
            AlternativeName::Dns("mdm.example".into()),
            AlternativeName::Ip([192, 0, 2, 1].into()),
            AlternativeName::Email("a@mdm.example".into()),
            AlternativeName::Uri("urn:example:1".into()),
        ],
        ..template("server", 6)
    };
    let server = INTERMEDIATE
        .danger_issue(&server, EC.key.public_key())
        .unwrap();
    desk.put("server.pem", server.to_pem());
    desk.openssl(
        "verify -x509_strict -purpose sslserver -verify_hostname mdm.example -CAfile root.pem -untrusted intermediate.pem server.pem",
    )
    .unwrap();
    let text = desk.openssl("x509 -noout -text -in server.pem").unwrap();
    for expected in [
        "DNS:mdm.example, IP Address:192.0.2.1, email:a@mdm.example, URI:urn:example:1",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "06:06:06:06:06:06:06:06:06:06:06:06:06:06:06:06",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let text = desk.openssl("x509 -noout -text -in root.pem").unwrap();
    for expected in ["CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn it_walks_every_structure_that_is_written() {
    let desk = Desk::new();
    let name = Name::new(&[(NameAttribute::CommonName, "device")]);
    let envelope = cms::encrypt(CONTENT, &RSA.certificate, Cipher::Aes128Cbc).unwrap();
    let signed = Signer::new(&RSA.key, &RSA.certificate).sign(&envelope);
    for (structure, expected) in [
        (signed.unwrap(), ":pkcs7-signedData"),
        (envelope, ":pkcs7-envelopedData"),
        (
            cms::certificates_only(&[&RSA.certificate]),
            ":pkcs7-signedData",
        ),
        (RSA.certificate.der().to_vec(), ":sha256WithRSAEncryption"),
        (
            CertificationRequest::sign(&EC.key, &name, Some("secret")).unwrap(),
            ":challengePassword",
        ),
    ] {
        desk.put("structure", structure);
        let said = desk
            .openssl("asn1parse -i -inform DER -in structure")
            .unwrap();
        assert!(said.contains(expected), "{said}");
    }
    // The envelope inside the signed message: its OCTET STRING is at the end of a path of fixed lengths.
    desk.put(
        "structure",
        Signer::new(&RSA.key, &RSA.certificate)
            .sign(&cms::encrypt(CONTENT, &RSA.certificate, Cipher::Aes128Cbc).unwrap())
            .unwrap(),
    );
    let said = desk.openssl("asn1parse -inform DER -in structure").unwrap();
    let line = said
        .lines()
        .find(|line| line.contains("prim: OCTET STRING"))
        .unwrap();
    let offset = line.split(':').next().unwrap().trim();
    let inside = desk
        .openssl(&format!(
            "asn1parse -inform DER -in structure -strparse {offset}"
        ))
        .unwrap();
    assert!(inside.contains(":pkcs7-envelopedData"), "{inside}");
}

#[test]
fn it_lists_a_bundle_in_the_order_given() {
    let desk = Desk::new();
    let bundle = [&RSA.certificate, ROOT.certificate(), &EC.certificate];
    desk.put("bundle", cms::certificates_only(&bundle));
    let said = desk
        .openssl("pkcs7 -print_certs -inform DER -in bundle")
        .unwrap();
    let listed = Certificate::many_from_pem(said.as_bytes()).unwrap();
    assert!(listed.iter().eq(bundle));
}

#[test]
fn it_accepts_the_requests_that_are_signed() {
    let desk = Desk::new();
    let subject = Name::new(&[
        (NameAttribute::Organization, "Example"),
        (NameAttribute::CommonName, "device"),
    ]);
    for key in [&RSA.key, &EC.key] {
        for challenge in [None, Some("secret")] {
            let request = CertificationRequest::sign(key, &subject, challenge).unwrap();
            desk.put("request", request);
            let said = desk
                .openssl("req -verify -noout -subject -inform DER -in request")
                .unwrap();
            assert!(said.contains("verify OK"), "{said}");
            assert!(said.contains("O = Example, CN = device"), "{said}");
        }
    }
}

#[test]
fn its_requests_are_read() {
    let desk = Desk::new();
    desk.put(
        "request.cnf",
        "[req]\nprompt=no\ndistinguished_name=dn\nattributes=attributes\nreq_extensions=extensions\n\
         [dn]\nO=Lab\nCN=dev1\n[attributes]\nchallengePassword=secret\n\
         [extensions]\nsubjectAltName=DNS:dev1.example,IP:192.0.2.7,email:a@dev1.example,URI:urn:1\n\
         keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth\n",
    );
    for (key, digest) in [("rsa.key", "-sha512"), ("ec.key", "-sha256")] {
        desk.openssl(&format!(
            "req -new {digest} -config request.cnf -key {key} -outform DER -out request"
        ))
        .unwrap();
        let request = CertificationRequest::from_der(&desk.take("request")).unwrap();
        assert_eq!(request.verify(Strength::Modern), Ok(()));
        assert_eq!(request.subject().to_string(), "O=Lab, CN=dev1");
        assert_eq!(request.challenge(), Some("secret"));
        assert_eq!(
            request.key_usage(),
            Some(KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT))
        );
        assert_eq!(
            request.alternative_names(),
            [
                AlternativeName::Dns("dev1.example".into()),
                AlternativeName::Ip([192, 0, 2, 7].into()),
                AlternativeName::Email("a@dev1.example".into()),
                AlternativeName::Uri("urn:1".into()),
            ]
        );
    }
}

fn sign_with(desk: &Desk, name: &str, options: &str) -> Result<Vec<u8>, String> {
    desk.openssl(&format!(
        "cms -sign -binary -in content -signer {name}.pem -inkey {name}.key -certfile intermediate.pem \
         -outform DER -out message {options}"
    ))?;
    Ok(desk.take("message"))
}

#[test]
fn its_signatures_are_read() {
    let desk = Desk::new();
    let identities: [(&str, &Identity); 2] = [("rsa", &RSA), ("ec", &EC)];
    for (name, identity) in identities {
        for options in [
            "-nodetach",
            "-nodetach -stream",
            "-nodetach -stream -md sha384",
            "-nodetach -stream -noattr -md sha512",
            "-nodetach -noattr",
            "-nodetach -keyid",
            "-nodetach -nosmimecap -md sha224",
            "",
            "-noattr",
            "-keyid",
        ] {
            let message = sign_with(&desk, name, options).unwrap();
            assert_eq!(
                message[1] == 0x80,
                options.contains("-stream"),
                "indefinite lengths: {options}"
            );
            let message = SignedMessage::parse(&message).unwrap();
            let verified = if options.contains("-nodetach") {
                message.verify(Strength::Modern)
            } else {
                message.verify_detached(CONTENT, Strength::Modern)
            };
            let verified = verified.unwrap_or_else(|error| panic!("{name} {options}: {error}"));
            assert_eq!(verified.content(), CONTENT);
            assert_eq!(*verified.signer(), identity.certificate);
            assert_eq!(verified.attributes().is_none(), options.contains("-noattr"));
        }
    }
    let pss = sign_with(&desk, "rsa", "-nodetach -keyopt rsa_padding_mode:pss").unwrap();
    assert!(matches!(
        SignedMessage::parse(&pss).unwrap().verify(Strength::Modern),
        Err(CmsError::Algorithm(_))
    ));
    let two = sign_with(&desk, "rsa", "-nodetach -signer ec.pem -inkey ec.key").unwrap();
    assert!(matches!(
        SignedMessage::parse(&two),
        Err(CmsError::Signers(2))
    ));
    let md5 = sign_with(&desk, "rsa", "-nodetach -md md5").unwrap();
    assert!(matches!(
        SignedMessage::parse(&md5)
            .unwrap()
            .verify(Strength::Factory),
        Err(CmsError::Algorithm(_))
    ));
}

#[test]
fn its_envelopes_are_read() {
    let desk = Desk::new();
    let encrypt = |options: &str| {
        desk.openssl(&format!(
            "cms -encrypt -binary -in content -outform DER -out message {options}"
        ))
        .unwrap();
        Envelope::parse(&desk.take("message"))
    };
    for (options, cipher) in [
        ("-stream -aes-128-cbc rsa.pem", Cipher::Aes128Cbc),
        ("-stream -aes-192-cbc rsa.pem", Cipher::Aes192Cbc),
        ("-stream -aes-256-cbc rsa.pem", Cipher::Aes256Cbc),
        ("-stream -des3 rsa.pem", Cipher::TripleDesCbc),
        ("-aes-128-cbc rsa.pem", Cipher::Aes128Cbc),
        ("-aes-128-cbc -keyid -recip rsa.pem", Cipher::Aes128Cbc),
        // The other recipient agrees on a key over its curve, which is passed over here.
        ("-stream -aes-256-cbc ec.pem rsa.pem", Cipher::Aes256Cbc),
    ] {
        let envelope = encrypt(options).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_eq!(envelope.cipher(), cipher);
        let opened = envelope.decrypt(&RSA.certificate, &RSA.key).unwrap();
        assert_eq!(*opened, CONTENT, "{options}");
    }
    assert!(matches!(
        encrypt("-aes-128-cbc -recip rsa.pem -keyopt rsa_padding_mode:oaep")
            .unwrap()
            .decrypt(&RSA.certificate, &RSA.key),
        Err(CmsError::Algorithm(_))
    ));
    assert!(matches!(
        encrypt("-aes-128-cbc ec.pem")
            .unwrap()
            .decrypt(&RSA.certificate, &RSA.key),
        Err(CmsError::NotRecipient)
    ));
}

#[test]
fn pkcs12_files_go_both_ways() {
    let desk = Desk::new();
    desk.openssl(
        "pkcs12 -export -in rsa.pem -inkey rsa.key -certfile intermediate.pem -passout pass:word -out file.p12",
    )
    .unwrap();
    let (key, certificates) = pkcs12::open(&desk.take("file.p12"), "word").unwrap();
    assert_eq!(key.public_key(), RSA.key.public_key());
    assert_eq!(
        certificates,
        [RSA.certificate.clone(), INTERMEDIATE.certificate().clone()]
    );
    assert!(pkcs12::open(&desk.take("file.p12"), "other").is_err());

    for identity in [&*RSA, &*EC] {
        let file = pkcs12::write(&identity.key, &identity.certificate, "word").unwrap();
        desk.put("file.p12", file);
        let said = desk
            .openssl("pkcs12 -in file.p12 -passin pass:word -nodes")
            .unwrap();
        assert_eq!(
            Certificate::many_from_pem(said.as_bytes()).unwrap(),
            std::slice::from_ref(&identity.certificate)
        );
        let key = PrivateKey::from_pem(said.as_bytes()).unwrap();
        assert_eq!(key.public_key(), identity.key.public_key());
    }
}

#[test]
fn its_keys_are_read_if_they_are_of_use() {
    let desk = Desk::new();
    let read = |make: &str| {
        desk.openssl(make).unwrap();
        PrivateKey::from_pem(&desk.take("key"))
    };
    assert!(read("genrsa -traditional -out key 2048").unwrap().is_rsa());
    read("ecparam -genkey -noout -out key -name prime256v1").unwrap();
    assert!(read("genpkey -out key -algorithm ed25519").is_err());
    assert!(read("ecparam -genkey -noout -out key -name secp256k1").is_err());
    assert!(read("genrsa -aes128 -passout pass:word -out key 2048").is_err());

    // Keys on larger curves verify and sign messages; certificates are written for P-256 alone.
    let larger = read("ecparam -genkey -noout -out key -name secp384r1").unwrap();
    let signature = larger.sign(Digest::Sha384, b"text").unwrap();
    larger
        .public_key()
        .verify(Digest::Sha384, b"text", &signature, Strength::Modern)
        .unwrap();
    assert!(Authority::self_signed(larger, &template("root", 7)).is_err());
}
