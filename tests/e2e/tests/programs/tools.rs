//! Tools from the templates: packed and signed by their author, handed on by staff, admitted by two others,
//! run by name; refused after one byte changed (issue 4, Shows 5).

use std::path::{Path, PathBuf};
use std::process::Output;

use kekkai_demo::{Web, sign_in};
use kekkai_e2e::{TestWorld, said};
use kekkai_policy_api::Event;
use kekkai_types::Digest;

use super::world;

const SQL_TRUTHS: &str = "SELECT sex = '女' AS exposed, age_band >= '70' AS outcome FROM patients";
const SQL_GROUPS: &str = "SELECT sex, age_band FROM patients";

/// Where the example tools were built: beside the programs.
fn tool(world: &TestWorld, file: &str) -> PathBuf {
    let program = world.program("kekkai");
    program.parent().unwrap().join("tools").join(file)
}

/// Packs a component as `author`, signed by the key of `signer`'s terminal. The bill of materials names
/// the component's own digest.
fn pack(
    world: &TestWorld,
    name: &str,
    (author, signer): (&str, &str),
    component: &Path,
    out: &Path,
) -> Output {
    let info = world.facts();
    let key = &info.person(signer).unwrap().terminal.ssh_key;
    let built = std::fs::read(tool(world, &format!("{name}.wasm"))).unwrap();
    let sbom = std::fs::read_to_string(tool(world, &format!("{name}.sbom.json"))).unwrap();
    let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
    let sbom = sbom.replace(&digest(&built), &digest(&std::fs::read(component).unwrap()));
    let bill = out.with_extension("sbom.json");
    std::fs::write(&bill, sbom).unwrap();
    world
        .kekkai()
        .args(["tool", "pack", "--agreement", "sample-2026", "--name", name])
        .args(["--author", author, "--description", "An example tool"])
        .arg("--component")
        .arg(component)
        .arg("--sbom")
        .arg(bill)
        .arg("--key")
        .arg(key)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap()
}

fn submit(world: &TestWorld, file: &Path) -> Output {
    world
        .kekkai()
        .args(["tool", "submit", "--connect"])
        .arg(world.dir().join("admin/kato.toml"))
        .arg(file)
        .output()
        .unwrap()
}

async fn browser(world: &TestWorld, who: &str) -> Web {
    let info = world.facts();
    sign_in(&info, info.person(who).unwrap()).await.unwrap()
}

/// The value of a hidden field of a page's vote form.
fn hidden(page: &str, name: &str) -> String {
    let form = page.split("/vote\"").nth(1).expect("a vote form");
    let tag = form
        .split("<input")
        .find(|tag| tag.contains(&format!("name=\"{name}\"")))
        .expect("a hidden field");
    tag.split("value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

/// Accepts the one request of this name that waits; the answer's status.
async fn accept(web: &mut Web, name: &str) -> u16 {
    let queue = web.get("/review/").await.unwrap().text();
    let link = queue
        .split("/review/tool/")
        .skip(1)
        .find(|rest| {
            rest.split("</a>")
                .next()
                .unwrap()
                .ends_with(&format!(">{name}"))
        })
        .unwrap_or_else(|| panic!("no request for {name}: {queue}"));
    let id = link.split('"').next().unwrap();
    let page = web.get(&format!("/review/tool/{id}")).await.unwrap().text();
    // What reviewers decide on is there.
    assert!(page.contains("kekkai:session/data@0.1.0"), "{page}");
    let (digest, csrf) = (hidden(&page, "digest"), hidden(&page, "csrf"));
    let fields = [
        ("digest", digest.as_str()),
        ("csrf", csrf.as_str()),
        ("vote", "accept"),
        ("comment", "read"),
    ];
    let path = format!("/review/tool/{id}/vote");
    web.submit(&path, &fields).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_run_after_two_others_admitted_them_and_not_after_one_byte_changed() {
    let world = world(2, false).await;
    let mut reviewers = [
        browser(&world, "ito").await,
        browser(&world, "watanabe").await,
    ];
    // Until they are admitted there are none.
    let connection = world.connect("r1+sample-2026");
    let early = connection.run(&format!("run tool riskratio \"{SQL_TRUTHS}\""));
    assert!(!early.status.success(), "{}", said(&early));

    for name in ["riskratio", "tableone"] {
        let component = tool(&world, &format!("{name}.wasm"));
        let request = world.folder().join(format!("{name}.kekkai-tool"));
        let packed = pack(&world, name, ("r1", "r1"), &component, &request);
        assert!(packed.status.success(), "{}", said(&packed));

        // One byte changed, anywhere in the request: refused, and recorded where it reached the service.
        let good = std::fs::read(&request).unwrap();
        let changed = world.folder().join(format!("{name}-changed.kekkai-tool"));
        for at in [good.len() / 5, good.len() / 2, good.len() - 200] {
            let mut bytes = good.clone();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            if bytes == good {
                continue;
            }
            std::fs::write(&changed, bytes).unwrap();
            let refused = submit(&world, &changed);
            assert!(!refused.status.success(), "{at}: {}", said(&refused));
        }
        let submitted = submit(&world, &request);
        assert!(submitted.status.success(), "{}", said(&submitted));
        // One vote is none.
        assert!(accept(&mut reviewers[0], name).await < 400);
        let early = connection.run(&format!("run tool {name} \"{SQL_GROUPS}\""));
        assert!(!early.status.success(), "{}", said(&early));
        assert!(accept(&mut reviewers[1], name).await < 400);
    }

    let events = world.events();
    let admitted = |name: &str| {
        events.iter().find_map(|event| match event {
            Event::ToolAdmitted { tool, digest, .. } if tool == name => Some(*digest),
            _ => None,
        })
    };
    let tools = connection.run("tools");
    for (name, sql) in [("riskratio", SQL_TRUTHS), ("tableone", SQL_GROUPS)] {
        let bytes = std::fs::read(tool(&world, &format!("{name}.wasm"))).unwrap();
        assert_eq!(admitted(name), Some(Digest::of(&bytes)));
        assert!(said(&tools).contains(name), "{}", said(&tools));
        let run = connection.run(&format!("run tool {name} \"{sql}\""));
        assert!(run.status.success(), "{}", said(&run));
        assert!(
            kekkai_demo::find_output_id(&said(&run)).is_some(),
            "{}",
            said(&run)
        );
        // The run is recorded with the very bytes' digest.
        let recorded = world.events().into_iter().any(|event| {
            matches!(event, Event::RunStarted { program, digest, .. }
                if program.starts_with(&format!("tool {name}")) && digest == Digest::of(&bytes))
        });
        assert!(recorded, "{name}");
    }

    // A changed component, signed anew by its author, is another tool: until it is admitted, the old one runs.
    let mut bytes = std::fs::read(tool(&world, "riskratio.wasm")).unwrap();
    // An empty custom section at the end: still a component, and not the one that was admitted.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    let other = world.folder().join("other.wasm");
    std::fs::write(&other, &bytes).unwrap();
    let request = world.folder().join("other.kekkai-tool");
    let packed = pack(&world, "riskratio", ("r1", "r1"), &other, &request);
    assert!(packed.status.success(), "{}", said(&packed));
    let submitted = submit(&world, &request);
    assert!(submitted.status.success(), "{}", said(&submitted));
    let run = connection.run(&format!("run tool riskratio \"{SQL_TRUTHS}\""));
    assert!(run.status.success(), "{}", said(&run));
    let last = world
        .events()
        .into_iter()
        .rev()
        .find_map(|event| match event {
            Event::RunStarted { digest, .. } => Some(digest),
            _ => None,
        });
    assert_eq!(last, admitted("riskratio"));

    // Not signed by its author: another's key.
    let request = world.folder().join("stolen.kekkai-tool");
    let component = tool(&world, "tableone.wasm");
    let stolen = pack(&world, "tableone", ("r1", "r2"), &component, &request);
    assert!(stolen.status.success(), "{}", said(&stolen));
    let refused = submit(&world, &request);
    assert!(!refused.status.success(), "{}", said(&refused));
    let is_recorded = world
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::ToolRefused { tool, .. } if tool == "tableone"));
    assert!(is_recorded);
}
