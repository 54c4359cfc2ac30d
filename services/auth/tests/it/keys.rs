use std::process::{Command, Output};

fn generate_keys(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command.arg("generate-keys").args(args).env_clear().output().expect("auth runs")
}

#[test]
fn keys_are_generated_without_any_other_setting() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("keys");
    for _ in 0..2 {
        let output = generate_keys(&["--out", &out.display().to_string()]);
        assert!(output.status.success(), "{output:?}");
    }
    assert!(out.join("private.pem").exists() && out.join("public.pem").exists());
}

#[test]
fn a_folder_that_can_not_be_created_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = generate_keys(&["--out", &file.join("keys").display().to_string()]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("file/keys"), "{stderr}");

    assert!(!generate_keys(&[]).status.success());
}
