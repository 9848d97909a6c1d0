//! Columns with secrets: sealed on the way in, opened on the way out.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::{Store, StoreError, resealing};

/// A secret that came out of the database: readable through [`expose`](Self::expose) alone, wiped when dropped, redacted in `Debug`.
pub struct Unsealed<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Unsealed<T> {
    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Unsealed<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Unsealed(redacted)")
    }
}

/// Names one sealed cell. The name is authenticated together with the value, so a sealed value that somebody copies into
/// another row or column does not open there.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// The primary key, its parts in order. Of two parts the second is a UUID of ours and without a slash, so that no two
    /// cells share a name.
    pub(crate) key: &'a [&'a str],
}

impl Cell<'_> {
    pub(crate) fn context(&self) -> String {
        format!("{}.{}/{}", self.table, self.column, self.key.join("/"))
    }
}

impl Store {
    pub(crate) fn seal(&self, cell: Cell<'_>, plaintext: &[u8]) -> Vec<u8> {
        debug_assert!(
            resealing::covers(cell),
            "{} would not be sealed anew when the key is rotated",
            cell.context()
        );
        self.sealing.seal(&cell.context(), plaintext)
    }

    pub(crate) fn unseal(
        &self,
        cell: Cell<'_>,
        sealed: &[u8],
    ) -> Result<Unsealed<Vec<u8>>, StoreError> {
        let context = cell.context();
        let plaintext =
            self.sealing
                .open(&context, sealed)
                .map_err(|error| StoreError::Damaged {
                    table: cell.table,
                    what: format!("{context} does not open ({error})"),
                })?;
        Ok(Unsealed(plaintext))
    }

    pub(crate) fn unseal_text(
        &self,
        cell: Cell<'_>,
        sealed: &[u8],
    ) -> Result<Unsealed<String>, StoreError> {
        let bytes = self.unseal(cell, sealed)?;
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| StoreError::Damaged {
            table: cell.table,
            what: format!("{} is not UTF-8", cell.context()),
        })?;
        Ok(Unsealed(Zeroizing::new(text.to_owned())))
    }
}
