//! What may leave, and on whose word (issue 2, Shows 8).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use kekkai_demo::{Web, fetch_release, sign_in, vote};
use kekkai_e2e::{TestWorld, said, world};
use kekkai_policy_api::Event;

async fn browser(world: &TestWorld, who: &str) -> Web {
    let info = world.facts();
    sign_in(&info, info.person(who).unwrap()).await.unwrap()
}

/// Submits a table as a researcher and gives the output's id.
fn submit(world: &TestWorld, who: &str) -> String {
    let output = world.ssh_lines(
        who,
        "sql SELECT sex, count(*) AS n FROM patients GROUP BY sex ORDER BY sex;\n\
         submit 1 --title \"Patients by sex\" --purpose \"Table 1\"\nexit\n",
    );
    assert!(output.status.success(), "{}", said(&output));
    world
        .events()
        .into_iter()
        .rev()
        .find_map(|event| match event {
            Event::OutputSubmitted { output, author, .. } if author.as_str() == who => {
                Some(output.to_string())
            }
            _ => None,
        })
        .expect("the submission's entry")
}

fn released(world: &TestWorld) -> usize {
    world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::OutputReleased { .. }))
        .count()
}

/// The hidden fields of an output's vote form, as the page gave them.
async fn form(web: &mut Web, output: &str) -> Vec<(String, String)> {
    let page = web
        .get(&format!("/review/output/{output}"))
        .await
        .unwrap()
        .text();
    ["digest", "round", "csrf"]
        .iter()
        .map(|name| {
            let tag = page
                .split("<input")
                .find(|tag| tag.contains(&format!("name=\"{name}\"")))
                .unwrap_or_else(|| panic!("no field {name} in {page}"));
            let value = tag
                .split("value=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            ((*name).to_owned(), value.to_owned())
        })
        .collect()
}

async fn post(web: &mut Web, output: &str, fields: &[(String, String)]) -> u16 {
    let mut fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    fields.extend([("vote", "accept"), ("comment", "checked")]);
    web.submit(&format!("/review/output/{output}/vote"), &fields)
        .await
        .unwrap()
        .status
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_but_the_bytes_that_two_others_accepted() {
    let world = world(1, false).await;
    let output = submit(&world, "r1");
    let mut ito = browser(&world, "ito").await;
    let mut watanabe = browser(&world, "watanabe").await;
    let mut takahashi = browser(&world, "takahashi").await;

    // Nobody fetches what nobody approved.
    assert!(fetch_release(&mut takahashi, &output).await.is_err());

    // The author has no vote, and no staff pages either. The same fields work for a reviewer below.
    let fields = form(&mut ito, &output).await;
    let mut author = browser(&world, "r1").await;
    assert!(post(&mut author, &output, &fields).await >= 400);
    assert_eq!(released(&world), 0);

    // A vote on other bytes.
    let mut other = fields.clone();
    let digest = &mut other.iter_mut().find(|(k, _)| k == "digest").unwrap().1;
    let last = if digest.ends_with('0') { "1" } else { "0" };
    digest.replace_range(digest.len() - 1.., last);
    assert!(post(&mut ito, &output, &other).await >= 400);

    // One vote, and the same vote again: still one.
    assert!(post(&mut ito, &output, &fields).await < 400);
    assert!(
        post(&mut ito, &output, &fields).await >= 400,
        "a replayed vote was taken"
    );
    assert_eq!(released(&world), 0);
    assert!(fetch_release(&mut takahashi, &output).await.is_err());

    // A reviewer's form in another's browser: its csrf token is another's.
    let refused = world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::VoteRefused { .. }))
        .count();
    assert!(refused >= 2, "refused votes are recorded: {refused}");
    assert!(
        post(&mut watanabe, &output, &fields).await >= 400,
        "ito's form worked for watanabe"
    );

    // The second vote releases.
    vote(&mut watanabe, &output, true).await.unwrap();
    assert_eq!(released(&world), 1);

    // The released bytes are the approved ones: the digest that was voted on is the bundle's.
    let bundle = fetch_release(&mut takahashi, &output).await.unwrap();
    let key = std::fs::read_to_string(world.facts().release_key)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let verified = kekkai_bundle::verify(&bundle.body, &key).unwrap();
    let events = world.events();
    let voted: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::OutputVoted {
                digest,
                accept: true,
                ..
            } => Some(*digest),
            _ => None,
        })
        .collect();
    let (digest, recorded) = events
        .iter()
        .find_map(|e| match e {
            Event::OutputReleased { digest, bundle, .. } => Some((*digest, *bundle)),
            _ => None,
        })
        .unwrap();
    assert_eq!(voted, [digest, digest]);
    assert_eq!(recorded, verified.digest);
    let csv = String::from_utf8(verified.csv().to_vec()).unwrap();
    assert!(csv.starts_with("sex,n\r\n"), "{csv}");
    // Fetched twice, the same bytes; and by nobody else.
    assert_eq!(
        fetch_release(&mut takahashi, &output).await.unwrap().body,
        bundle.body
    );
    assert!(fetch_release(&mut author, &output).await.is_err());
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::BundleFetched { .. }))
    );

    // Any flipped byte is seen by whoever receives it.
    for at in (0..bundle.body.len()).step_by(101) {
        let mut bytes = bundle.body.to_vec();
        *bytes.get_mut(at).unwrap() ^= 1;
        assert!(kekkai_bundle::verify(&bytes, &key).is_err(), "byte {at}");
    }
}
