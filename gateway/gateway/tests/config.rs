//! The configuration that is shipped, and the one that must not start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;

use kekkai_gateway::config::{Config, ConfigProblem};

fn example() -> Config {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/etc/kekkai-gateway.example.toml");
    kekkai_service::config::load(&path).unwrap()
}

#[test]
fn example_is_a_configuration_and_shows_the_defaults() {
    let config = example();
    assert!(!config.demo);
    assert_eq!(
        format!("{:?}", config.limits),
        format!("{:?}", kekkai_gateway::config::Limits::default())
    );
}

#[test]
fn emulated_model_is_refused_outside_a_demonstration() {
    let mut config = example();
    config.models[0].emulated = true;
    assert!(matches!(
        config.settings(),
        Err(ConfigProblem::EmulatedModel(_))
    ));
    // In one, the next thing that is missing is the authority's file.
    config.demo = true;
    assert!(matches!(config.settings(), Err(ConfigProblem::File { .. })));
}

#[test]
fn url_with_a_path_or_without_tls_is_refused() {
    for url in [
        "http://g.example",
        "https://g.example/x",
        "https://g.example/?x",
        "g.example",
    ] {
        let mut config = example();
        config.https.public_url = url.to_owned();
        assert!(
            matches!(config.settings(), Err(ConfigProblem::PublicUrl(_))),
            "{url}"
        );
    }
    let mut config = example();
    config.limits.login_grace_s = config.limits.code_life_s;
    assert!(matches!(config.settings(), Err(ConfigProblem::LoginGrace)));
}
