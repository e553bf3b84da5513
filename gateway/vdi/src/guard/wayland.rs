//! What a Wayland compositor offers its clients: a global of these is a way to other clients' pixels, or to
//! what they type.

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::{Event, WlRegistry};
use wayland_client::{Connection, Dispatch, QueueHandle};

use super::Finding;

/// By the beginning of their names; versions and suffixes follow.
const CAPTURE: &[&str] = &[
    "ext_data_control_manager",
    "ext_image_copy_capture_manager",
    "ext_output_image_capture_source_manager",
    "hyprland_toplevel_export_manager",
    "kde_screencast",
    "org_kde_kwin_remote_access_manager",
    "weston_capture",
    "weston_screenshooter",
    "zkde_screencast",
    "zwlr_data_control_manager",
    "zwlr_export_dmabuf_manager",
    "zwlr_screencopy_manager",
    "zwlr_virtual_pointer_manager",
    "zwp_virtual_keyboard_manager",
];

struct Nothing;

impl Dispatch<WlRegistry, GlobalListContents> for Nothing {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

pub(super) fn findings(is_kiosk: bool) -> Vec<Finding> {
    if !is_kiosk {
        return Vec::new();
    }
    match offered() {
        Ok(names) => names
            .into_iter()
            .filter(|name| is_capture(name))
            .map(Finding::CaptureOffered)
            .collect(),
        Err(error) => vec![Finding::Unknown(error)],
    }
}

fn is_capture(interface: &str) -> bool {
    CAPTURE.iter().any(|name| interface.starts_with(name))
}

fn offered() -> Result<Vec<String>, String> {
    let connection = Connection::connect_to_env().map_err(|error| error.to_string())?;
    let (globals, _queue) =
        registry_queue_init::<Nothing>(&connection).map_err(|error| error.to_string())?;
    let names = |all: &[wayland_client::globals::Global]| {
        all.iter().map(|global| global.interface.clone()).collect()
    };
    Ok(globals.contents().with_list(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_protocols_are_known_by_name() {
        assert!(is_capture("zwlr_screencopy_manager_v1"));
        assert!(is_capture("ext_image_copy_capture_manager_v1"));
        assert!(!is_capture("xdg_wm_base") && !is_capture("wl_shm"));
        assert!(CAPTURE.is_sorted());
    }
}
