//! Object identifiers used by X.509, CMS and PKCS#10.

use crate::ObjectIdentifier;

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($value);)*
    };
}

oids! {
    /// CMS `id-data` (RFC 5652, 4).
    DATA = "1.2.840.113549.1.7.1";
    /// CMS `id-signedData` (RFC 5652, 5).
    SIGNED_DATA = "1.2.840.113549.1.7.2";
    /// CMS `id-envelopedData` (RFC 5652, 6).
    ENVELOPED_DATA = "1.2.840.113549.1.7.3";
    /// Signed attribute contentType (RFC 5652, 11.1).
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    /// Signed attribute messageDigest (RFC 5652, 11.2).
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    /// Signed attribute signingTime (RFC 5652, 11.3).
    SIGNING_TIME = "1.2.840.113549.1.9.5";
    /// PKCS#9 challengePassword (RFC 2985, 5.4.1).
    CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7";
    /// PKCS#9 extensionRequest (RFC 2985, 5.4.2).
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
    /// Extension request as Microsoft's clients write it.
    EXTENSION_REQUEST_MICROSOFT = "1.3.6.1.4.1.311.2.1.14";
    /// rsaEncryption (RFC 8017, A.1).
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
    /// sha1WithRSAEncryption.
    SHA1_WITH_RSA = "1.2.840.113549.1.1.5";
    /// sha224WithRSAEncryption.
    SHA224_WITH_RSA = "1.2.840.113549.1.1.14";
    /// sha256WithRSAEncryption.
    SHA256_WITH_RSA = "1.2.840.113549.1.1.11";
    /// sha384WithRSAEncryption.
    SHA384_WITH_RSA = "1.2.840.113549.1.1.12";
    /// sha512WithRSAEncryption.
    SHA512_WITH_RSA = "1.2.840.113549.1.1.13";
    /// id-ecPublicKey (RFC 5480).
    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    /// The curve P-256, secp256r1 (RFC 5480, 2.1.1.1).
    P256 = "1.2.840.10045.3.1.7";
    /// The curve P-384, secp384r1.
    P384 = "1.3.132.0.34";
    /// The curve P-521, secp521r1.
    P521 = "1.3.132.0.35";
    /// ecdsa-with-SHA1.
    ECDSA_WITH_SHA1 = "1.2.840.10045.4.1";
    /// ecdsa-with-SHA224.
    ECDSA_WITH_SHA224 = "1.2.840.10045.4.3.1";
    /// ecdsa-with-SHA256.
    ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
    /// ecdsa-with-SHA384.
    ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3";
    /// ecdsa-with-SHA512.
    ECDSA_WITH_SHA512 = "1.2.840.10045.4.3.4";
    /// SHA-1.
    SHA1 = "1.3.14.3.2.26";
    /// SHA-224.
    SHA224 = "2.16.840.1.101.3.4.2.4";
    /// SHA-256.
    SHA256 = "2.16.840.1.101.3.4.2.1";
    /// SHA-384.
    SHA384 = "2.16.840.1.101.3.4.2.2";
    /// SHA-512.
    SHA512 = "2.16.840.1.101.3.4.2.3";
    /// AES-128-CBC (RFC 3565).
    AES128_CBC = "2.16.840.1.101.3.4.1.2";
    /// AES-192-CBC (RFC 3565).
    AES192_CBC = "2.16.840.1.101.3.4.1.22";
    /// AES-256-CBC (RFC 3565).
    AES256_CBC = "2.16.840.1.101.3.4.1.42";
    /// DES-EDE3-CBC (RFC 3370).
    DES_EDE3_CBC = "1.2.840.113549.3.7";
    /// countryName.
    COUNTRY = "2.5.4.6";
    /// organizationName.
    ORGANIZATION = "2.5.4.10";
    /// organizationalUnitName.
    ORGANIZATIONAL_UNIT = "2.5.4.11";
    /// commonName.
    COMMON_NAME = "2.5.4.3";
    /// serialNumber (of the subject).
    SUBJECT_SERIAL_NUMBER = "2.5.4.5";
    /// userId: where Apple puts the topic of a push certificate.
    USER_ID = "0.9.2342.19200300.100.1.1";
}
