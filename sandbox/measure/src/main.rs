//! `kekkai-measure`: measures an analysis server, then executes exactly what it measured.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kekkai_attest::ReferenceValues;
use kekkai_measure::{Plan, components, launch};
use kekkai_tpm::{Connection, TpmKind, firmware};

/// Measures an analysis server into its TPM, then executes exactly what it measured.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The analysis server's configuration; says what is measured.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints the reference values of these components as JSON, unsigned, and does nothing else.
    #[arg(long, value_name = "LABEL")]
    print_reference: Option<String>,
    /// Adds this machine's PCRs 0 to 7 to the reference values: firmware and boot loader.
    #[arg(long, requires = "print_reference")]
    with_firmware: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("kekkai-measure: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan::load(&arguments.config)?;
    match &arguments.print_reference {
        Some(label) => {
            let mut reference = ReferenceValues::compute(label, components(&plan)?);
            if arguments.with_firmware {
                let TpmKind::Device(path) = plan.tpm.kind()? else {
                    return Err("an emulated TPM measures no firmware".into());
                };
                reference
                    .pcrs
                    .extend(firmware(&Connection::Device(path.to_owned()))?);
            }
            println!("{}", serde_json::to_string_pretty(&reference)?);
            Ok(())
        }
        None => match launch(&plan)? {},
    }
}
