//! Nothing seeded per process may come near a placement.

/// `ahash` and std's default hasher draw their keys anew in each process; maps may use them, placements may not.
#[test]
fn no_hasher_of_this_crate_is_seeded_per_process() {
    let manifest = include_str!("../Cargo.toml");
    assert!(!manifest.contains("ahash"), "ahash is in the manifest");
    let mut looked_at = 0;
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                for banned in ["ahash", "RandomState", "DefaultHasher", "BuildHasher"] {
                    assert!(!source.contains(banned), "{banned} in {}", path.display());
                }
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 15, "only {looked_at} files found");
}
