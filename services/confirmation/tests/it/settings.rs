//! The settings, as the program takes them.

use testkit::{Infra, Program};

#[tokio::test]
async fn a_wrong_setting_ends_the_program_with_its_name_and_without_secrets() {
    let infra = Infra::start().await;
    let program = infra.program("confirmation").serving(&infra, 0, 0).without("JWT_PRIVATE_KEY");
    for (name, value, expected) in [
        ("SMTP_URL", "smtp://u:hidden@host?tls=never", "SMTP_URL"),
        ("SMTP_URL", "hidden", "SMTP_URL"),
        ("SMTP_CA", "/nowhere", "SMTP_CA"),
        ("MAIL_FROM", "nobody", "MAIL_FROM"),
        ("SMTP_TIMEOUT_SECONDS", "0", "SMTP_TIMEOUT_SECONDS"),
    ] {
        let program = program.clone().with("SENDGRID_API_KEY", "").with("SMTP_URL", "smtp://host");
        let ended = program.with(name, value).run(&[]).await;
        assert!(!ended.success);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(said.contains(expected) || said.contains(&flag), "{name}: {said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[tokio::test]
async fn help_names_every_setting_and_hides_secrets() {
    let program = Program::of("confirmation").with("SMTP_URL", "smtp://u:hidden@host");
    let help = program.with("SENDGRID_API_KEY", "hidden").run(&["--help"]).await;
    for setting in ["SMTP_URL", "SENDGRID_API_KEY", "MAIL_FROM", "SMTP_CA", "confirmation mails"] {
        assert!(help.expect_success().contains(setting), "{setting}");
    }
    assert!(!help.stdout.contains("hidden"), "{}", help.stdout);
}
