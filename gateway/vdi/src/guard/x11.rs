//! What an X server tells about itself and its clients: whether it is a remote-control server, and whether
//! a client holds a RECORD context, by the names of its resources (X-Resource 1.0).

use x11rb::connection::{Connection, RequestConnection as _};
use x11rb::protocol::res::{self, ConnectionExt as _};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::Finding;

/// Extensions that only a remote-control server has.
const REMOTE: &[&str] = &["VNC-EXTENSION", "TIGERVNC", "NX", "XRDP"];
/// The server's name of what `XRecordCreateContext` makes.
const RECORD_CONTEXT: &[u8] = b"RecordContext";
/// Clients that are asked about.
const CLIENTS_MAX: usize = 1024;

pub(super) fn findings() -> Vec<Finding> {
    look().unwrap_or_else(|error| vec![Finding::Unknown(error.to_string())])
}

fn look() -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
    let (connection, _) = x11rb::connect(None)?;
    let mut findings = Vec::new();
    for name in REMOTE {
        if connection
            .query_extension(name.as_bytes())?
            .reply()?
            .present
        {
            findings.push(Finding::RemoteControlServer(name));
        }
    }
    let is_recording = connection
        .extension_information(res::X11_EXTENSION_NAME)?
        .is_some()
        && holds_record_context(&connection)?;
    if is_recording {
        findings.push(Finding::Recording);
    }
    Ok(findings)
}

fn holds_record_context(connection: &impl Connection) -> Result<bool, Box<dyn std::error::Error>> {
    // Made where it isn't there yet: the server makes it when it first answers about such a resource.
    let atom = connection.intern_atom(false, RECORD_CONTEXT)?.reply()?.atom;
    let clients = connection.res_query_clients()?.reply()?.clients;
    for client in clients.into_iter().take(CLIENTS_MAX) {
        // A client that went away meanwhile records nothing.
        let Ok(resources) = connection
            .res_query_client_resources(client.resource_base)?
            .reply()
        else {
            continue;
        };
        if resources
            .types
            .iter()
            .any(|held| held.resource_type == atom && held.count > 0)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
