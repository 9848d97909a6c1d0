//! Why the simulated APNs did not start.

use std::io;
use std::net::SocketAddr;

use crate::certificates::AuthorityError;

/// The simulated APNs did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its certificates could not be made.
    #[error("the certificates of the simulated APNs cannot be made")]
    Authority(#[from] AuthorityError),
    /// An address is taken or not this machine's.
    #[error(
        "the simulated APNs cannot listen on {address}: choose another address, or port 0 for any free one"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS cannot work with the certificates.
    #[error("TLS cannot work with the certificates of the simulated APNs")]
    Tls(#[from] rustls::Error),
    /// The same, about client certificates.
    #[error("TLS cannot check push certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The directory cannot be used.
    #[error("the directory of the simulated APNs cannot be used")]
    Directory(#[from] io::Error),
}
