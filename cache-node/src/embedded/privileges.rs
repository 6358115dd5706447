//! `-u USER`: give up root once the sockets are bound.

use std::io;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use crate::node::NodeError;
use crate::persist::Folder;
use crate::server::StartError;

/// Becomes `user`, who gets the `folder`, if we are root; anybody else stays who they are, as memcached does.
pub(super) fn become_user(user: &str, folder: Option<&Folder>) -> Result<(), StartError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let accounts = std::fs::read_to_string("/etc/passwd");
    let accounts = accounts.map_err(|error| StartError::system("read /etc/passwd", error))?;
    let (uid, gid) = find(&accounts, user).ok_or_else(|| {
        StartError::system(
            format!("become user {user}"),
            io::Error::other("there is no such user"),
        )
    })?;
    if let Some(folder) = folder {
        folder.give_to(uid, gid).map_err(NodeError::from)?;
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let become_it = || {
        set_thread_groups(&[])?;
        set_thread_gid(gid)?;
        set_thread_uid(uid)
    };
    become_it().map_err(|error| StartError::system(format!("become user {user}"), error.into()))
}

/// The ids of a user by name (passwd(5): name, password, uid, gid, …).
fn find(accounts: &str, user: &str) -> Option<(u32, u32)> {
    let account = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    let mut ids = account.split(':').skip(2);
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nmemcache:x:110:115::/nonexistent:/bin/false\n";
        assert_eq!(find(accounts, "memcache"), Some((110, 115)));
        assert_eq!(find(accounts, "mem"), None);
        assert_eq!(find("broken:x\n", "broken"), None);
    }
}
