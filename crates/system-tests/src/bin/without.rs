//! A service without one of its background tasks, as a defect may leave it: `cargo xtask proof alerts` tries on it whether somebody
//! notices. A copy of it stands in for the service's program, of whose name it is, beside a file that names the task.

use std::env;
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use common::Clock;
use httpkit::Service;
use httpkit::settings::ServerSettings;
use orders::app::Orders;
use payments::app::Payments;
use service::{AdminCommands, Microservice};

struct Without<M>(PhantomData<M>);

impl<M: Microservice> Microservice for Without<M> {
    const NAME: &'static str = M::NAME;
    type Settings = M::Settings;
    type StateSettings = M::StateSettings;
    type State = M::State;
    type Document = M::Document;

    fn server(settings: &M::Settings) -> &ServerSettings {
        M::server(settings)
    }

    async fn build(settings: M::Settings, clock: Clock) -> anyhow::Result<Service> {
        let file = program().with_extension("without");
        let task = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(M::build(settings, clock).await?.without(task.trim()))
    }

    async fn admin(
        settings: M::StateSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<M::State, M::Document>> {
        M::admin(settings, clock).await
    }
}

fn program() -> PathBuf {
    env::args_os().next().map(PathBuf::from).unwrap_or_default()
}

#[tokio::main]
async fn main() -> ExitCode {
    match program().file_name().and_then(|name| Path::new(name).to_str()) {
        Some("orders") => service::main::<Without<Orders>>().await,
        Some("payments") => service::main::<Without<Payments>>().await,
        other => {
            eprintln!("error: not a service: {other:?}");
            ExitCode::FAILURE
        }
    }
}
