//! What the process may still do once it reads strangers' packets: its user, its capabilities, the files it reaches
//! (Landlock) and the system calls it makes (seccomp). Comes in: a [`Plan`]. Goes out: the process, confined, and what of
//! it the kernel could not do. Nothing of it can be taken back.
//!
//! [`confine`] holds for the calling thread and those that it starts from then on, so it comes before any other thread;
//! [`forbid_calls`] holds for all threads and comes last.

mod calls;
mod paths;
mod user;

use std::path::PathBuf;

use caps::{CapSet, Capability, CapsHashSet};

pub use calls::forbid_calls;
pub use user::User;

/// What a process is to keep.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The user to go on as; `None` stays who it is.
    pub user: Option<User>,
    /// Files and folders to be read, besides those that every process needs.
    pub read: Vec<PathBuf>,
    /// Folders in which files are written, made, renamed and removed.
    pub write: Vec<PathBuf>,
    /// Whether files are to be confined where the kernel can.
    pub confine_files: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confined {
    /// Whether the kernel confines the files that are reached.
    pub files: bool,
}

/// Why a process cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no such user.
    #[error("there is no user '{0}'")]
    NoUser(String),
    /// The user cannot be changed.
    #[error("cannot become user '{user}': {error}")]
    User {
        /// The user.
        user: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// Capabilities cannot be dropped.
    #[error("capabilities cannot be dropped: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// The files cannot be confined.
    #[error("files cannot be confined: {0}")]
    Files(#[from] landlock::RulesetError),
    /// The system calls cannot be confined.
    #[error("system calls cannot be forbidden: {0}")]
    Calls(String),
}

/// The one capability that reading packets needs.
const KEPT: Capability = Capability::CAP_NET_RAW;

/// Confines the calling thread and all that it will start.
///
/// # Errors
/// Where something that was asked for cannot be had; a kernel that knows no Landlock is none.
pub fn confine(plan: &Plan) -> Result<Confined, SandboxError> {
    bound_capabilities()?;
    if let Some(user) = &plan.user {
        user.become_it()?;
    }
    keep_capabilities()?;
    let files = plan.confine_files && paths::confine(plan)?;
    Ok(Confined { files })
}

/// Sees to it that no capability but one can ever be had again; who may not do that has none to lose.
fn bound_capabilities() -> Result<(), SandboxError> {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        return Ok(());
    }
    for capability in caps::read(None, CapSet::Bounding)? {
        if capability != KEPT {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    Ok(())
}

/// Drops every capability but the one that is needed.
fn keep_capabilities() -> Result<(), SandboxError> {
    let held = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = held.into_iter().filter(|capability| *capability == KEPT).collect();
    caps::clear(None, CapSet::Ambient).or_else(ignore_old_kernels)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    Ok(())
}

/// Kernels before 4.3 know no ambient capabilities.
fn ignore_old_kernels(_: caps::errors::CapsError) -> Result<(), SandboxError> {
    Ok(())
}
