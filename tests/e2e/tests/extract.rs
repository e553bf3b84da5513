//! A project's own extract through all services: its sessions read it, nobody else's do, and its keys end
//! with the agreement (issue 5, R10, R15, invariant 8).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::process::Output;

use kekkai_dataset::{FilePlace, layout, open_reader, unwrap_with_recovery};
use kekkai_e2e::{TestWorld, said, world};
use kekkai_policy_api::{EndAgreement, Event};
use kekkai_types::{AgreementId, DatasetId, Digest, Recipient};

const SQL: &str = "sql SELECT p.sex, count(*) AS n, round(avg(l.value), 6) AS mean FROM patients p \
                   JOIN labs l ON p.person_id = l.person_id GROUP BY p.sex ORDER BY p.sex";

fn kekkai(world: &TestWorld, arguments: &[&str]) -> Output {
    let mut command = world.kekkai();
    command.args(["--lang", "en"]).args(arguments);
    command.output().unwrap()
}

/// The datasets whose keys the last session of all got.
fn released(world: &TestWorld) -> Vec<(DatasetId, u32)> {
    let events = world.events().into_iter().rev();
    events
        .filter_map(|event| match event {
            Event::KeysReleased { datasets, .. } => Some(datasets),
            _ => None,
        })
        .next()
        .unwrap()
}

fn answer(world: &TestWorld, who: &str) -> String {
    let output = world.ssh(who, SQL);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    // The table: what stands below it tells of the run, and how long it took.
    let rows: Vec<&str> = text.lines().take_while(|l| !l.starts_with('(')).collect();
    assert!((3..10).contains(&rows.len()), "{text}");
    rows.join("\n")
}

fn files_with(folder: &Path, needle: &[u8]) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += files_with(&path, needle);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found += usize::from(memchr::memmem::find(&bytes, needle).is_some());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projects_sessions_read_its_extract_until_its_end_destroys_the_key() {
    let world = world(2, false).await;
    let info = world.facts();
    let path = |path: &Path| path.display().to_string();
    let connect = path(&world.dir().join("admin/kato.toml"));
    let agreement = AgreementId::new("sample-2026").unwrap();
    let id = DatasetId::new("sample-2026.sample").unwrap();
    let before = answer(&world, "r1");
    assert_eq!(released(&world), [(DatasetId::new("sample").unwrap(), 1)]);

    let text = path(&world.dir().join("agreements/sample-2026.toml"));
    let (recovery, offline) = (
        path(&info.keys.join("recovery.key")),
        path(&info.keys.join("offline.pub")),
    );
    let data = path(&info.data);
    let arguments = [
        "extract",
        "--agreement",
        &text,
        "--data",
        &data,
        "--recovery-key",
        &recovery,
        "--offline-key",
        &offline,
        "--connect",
        &connect,
    ];
    let output = kekkai(&world, &arguments);
    assert!(output.status.success(), "{}", said(&output));

    // Its sessions read it and get the same answers; the other project's read the dataset.
    assert_eq!(answer(&world, "r2"), before);
    assert_eq!(released(&world), [(id.clone(), 1)]);
    let other = world.ssh("yoshida", "status");
    assert!(other.status.success(), "{}", said(&other));
    assert_eq!(released(&world), [(DatasetId::new("sample").unwrap(), 1)]);

    // The wrapped key is in the policy service's database and nowhere else.
    let folder = layout::version_folder(&info.data, &id, 1);
    assert!(!folder.join(layout::WRAPPED_KEYS).exists());
    let state = world.dir().join("policy");
    let row = format!("\"dataset\":\"{id}\",\"version\":1,\"recipient\"");
    assert!(
        files_with(&state, row.as_bytes()) > 0,
        "control: found while it is there"
    );

    let admin = kekkai_demo::Admin::connect(&info).unwrap();
    let call = EndAgreement {
        agreement: agreement.clone(),
        reason: "the study is over".to_owned(),
    };
    admin.policy.call(&call).await.unwrap();
    assert_eq!(files_with(&state, row.as_bytes()), 0);
    let certified = world.events().into_iter().any(|event| {
        matches!(event, Event::ExtractKeysDestroyed { agreement: whose, extract, version: 1, keys }
            if whose == agreement && extract == id && keys.len() == 1)
    });
    assert!(certified);
    let refused = world.ssh("r1", "status");
    assert!(!refused.status.success(), "{}", said(&refused));
    let events = world.events();
    let at_end = events
        .iter()
        .position(|e| matches!(e, Event::AgreementEnded { .. }))
        .unwrap();
    let later = events.iter().skip(at_end);
    assert!(!later.clone().any(
        |e| matches!(e, Event::KeysReleased { datasets, .. } if datasets.contains(&(id.clone(), 1)))
    ));

    // What is left on disk is noise, for the producer's recovery key too, which opens the dataset.
    let private = kekkai_deploy::ec_private_of_file(&info.keys.join("recovery.key")).unwrap();
    let dataset = layout::version_folder(&info.data, &DatasetId::new("sample").unwrap(), 1);
    let wrapped = layout::read_wrapped_keys(&dataset).unwrap();
    let wrapped = wrapped.iter().find(|k| k.recipient == Recipient::Recovery);
    let key = unwrap_with_recovery(&private, wrapped.unwrap()).unwrap();
    for (folder, opens) in [(&dataset, true), (&folder, false)] {
        let catalog = layout::read_catalog(folder).unwrap();
        for entry in catalog.tables.iter().flat_map(|table| &table.files) {
            let file = std::fs::File::open(folder.join(&entry.name)).unwrap();
            let place = FilePlace::new(&catalog.id, catalog.version, &entry.name);
            assert_eq!(
                open_reader(file, &key, &place).is_ok(),
                opens,
                "{}",
                entry.name
            );
        }
    }

    // A regulator's enquiry is recorded, after the end as well.
    let enquiry = [
        "extract",
        "enquiry",
        "--extract",
        id.as_str(),
        "--reason",
        "the ministry asks",
        "--connect",
        &connect,
        "4711",
    ];
    let output = kekkai(&world, &enquiry);
    assert!(output.status.success(), "{}", said(&output));
    assert!(world.events().iter().any(|event| matches!(event,
        Event::EnquiryRecorded { pseudonym, .. } if *pseudonym == Digest::of(b"4711"))));
    // And an extract for an agreement that ended is not made.
    let output = kekkai(&world, &arguments);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("agreement-ended"),
        "{}",
        said(&output)
    );
}
