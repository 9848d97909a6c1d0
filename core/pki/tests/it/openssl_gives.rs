//! What the `openssl` command line writes is read here.

use lanyard_pki::{
    AlternativeName, Authority, Certificate, CertificationRequest, Digest, KeyUsage, PrivateKey,
    Strength,
    cms::{Cipher, CmsError, Envelope, SignedMessage},
    pkcs12,
};

use crate::{
    desk::{CONTENT, Desk},
    identities::{EC, INTERMEDIATE, Identity, RSA, template},
};

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
