//! The user that a process goes on as. Comes in: a name or a number. Goes out: the calling thread as that user, with the
//! capability to read packets still held.

use std::fs;
use std::io;

use rustix::process::{Gid, Uid};
use rustix::thread;

use super::SandboxError;

/// A user and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// Where users are listed (`passwd(5)`).
const USERS: &str = "/etc/passwd";

impl User {
    /// Finds a user of this machine by its name or number.
    ///
    /// # Errors
    /// [`SandboxError::NoUser`] where there is none.
    pub fn named(name: &str) -> Result<Self, SandboxError> {
        let users = fs::read_to_string(USERS).unwrap_or_default();
        Self::among(&users, name).ok_or_else(|| SandboxError::NoUser(name.to_owned()))
    }

    fn among(users: &str, wanted: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            (name == wanted || wanted.parse() == Ok(uid)).then(|| Self { name: name.to_owned(), uid, gid })
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it a file that was made before the process became it.
    ///
    /// # Errors
    /// The system's.
    pub fn give(&self, path: &std::path::Path) -> io::Result<()> {
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
    }

    /// The calling thread becomes it, and keeps what capabilities it has permitted.
    pub(super) fn become_it(&self) -> Result<(), SandboxError> {
        let failed =
            |error: rustix::io::Errno| SandboxError::User { user: self.name.clone(), error: error.into() };
        if rustix::process::getuid().as_raw() == self.uid {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        thread::set_keep_capabilities(true).map_err(failed)?;
        thread::set_thread_groups(&[gid]).map_err(failed)?;
        thread::set_thread_res_gid(gid, gid, gid).map_err(failed)?;
        thread::set_thread_res_uid(uid, uid, uid).map_err(failed)?;
        thread::set_keep_capabilities(false).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nbongsu:x:990:991::/:/bin/false\n";
        let bongsu = User { name: "bongsu".to_owned(), uid: 990, gid: 991 };
        assert_eq!(User::among(users, "bongsu"), Some(bongsu.clone()));
        assert_eq!(User::among(users, "990"), Some(bongsu));
        assert_eq!(User::among(users, "bong"), None);
    }
}
