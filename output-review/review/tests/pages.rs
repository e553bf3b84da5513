//! The pages: for whom, in which language, and with no way for a table to become markup.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use bytes::Bytes;
use common::{MARKUP, Stage, cell, submission, table, table_of};
use kekkai_output::{Cell, Value};
use kekkai_review_api::header;
use kekkai_service::tls::SERVICE_NAME;
use kekkai_types::Lang;

fn is_japanese(c: char) -> bool {
    matches!(c, 'ぁ'..='ヿ' | '一'..='鿿')
}

#[tokio::test]
async fn no_text_of_an_output_becomes_markup() {
    let stage = Stage::start().await;
    let mut submit = submission("sato", table());
    submit.title = format!("title {MARKUP}");
    submit.purpose = format!("purpose {MARKUP}");
    table_of(&mut submit).columns[0].name = format!("column {MARKUP}");
    table_of(&mut submit).columns[1].name = "\" onmouseover=\"x".to_owned();
    table_of(&mut submit).rows[0][0] = Cell::Key(Value::Text(format!("group {MARKUP}")));
    table_of(&mut submit).lineage.sql = format!("SELECT '{MARKUP}'");
    table_of(&mut submit).lineage.engine = MARKUP.to_owned();
    stage.submit(&submit).await.unwrap();
    let path = format!("/review/output/{}", submit.output);
    let comment = "%3Cscript%3Ealert%3C%2Fscript%3E";
    let mut pages = vec![
        stage.get("mori", Lang::En, "/review/").await,
        stage
            .get("mori", Lang::En, &format!("{path}?counts=1"))
            .await,
    ];
    stage.vote("mori", &submit.output, "refuse", comment).await;
    pages.push(stage.get("mori", Lang::En, &path).await);
    stage.vote("ueda", &submit.output, "accept", "").await;
    pages.push(stage.get("ueda", Lang::Ja, &path).await);
    pages.push(stage.get("ito", Lang::Ja, "/release/").await);
    for page in pages {
        assert_eq!(page.status, 200);
        let text = page.text();
        assert!(
            !text.contains("<script") && !text.contains("<b class"),
            "{text}"
        );
        // The name stands as text, its quotes escaped: no attribute of that name is made.
        assert!(!text.contains(" onmouseover=\"x\""), "{text}");
        assert!(text.contains("&lt;script&gt;"), "{text}");
    }
}

#[tokio::test]
async fn both_languages_are_complete() {
    let stage = Stage::start().await;
    // Nothing of the output itself is Japanese, so whatever is comes from the page.
    let mut submit = submission("sato", table());
    submit.title = "Patients by region".to_owned();
    table_of(&mut submit).columns[0].name = "region".to_owned();
    table_of(&mut submit).lineage.sql = "SELECT 1".to_owned();
    for (row, name) in
        table_of(&mut submit)
            .rows
            .iter_mut()
            .zip(["a@b.example", "090-1234-5678", "=x"])
    {
        row[0] = Cell::Key(Value::Text(name.to_owned()));
    }
    stage.submit(&submit).await.unwrap();
    let path = format!("/review/output/{}", submit.output);
    for (lang, form) in [(Lang::En, ""), (Lang::Ja, "")] {
        let voted = stage
            .request("mori", lang, "POST", &format!("{path}/vote"), form)
            .await;
        assert_eq!(voted.status, 400);
    }
    stage.vote("mori", &submit.output, "refuse", "no").await;
    for (person, path) in [
        ("mori", "/review/".to_owned()),
        ("mori", path.clone()),
        ("ueda", format!("{path}?counts=1&page=1")),
        ("ueda", "/review/nothing-here".to_owned()),
        ("sato", "/review/".to_owned()),
        ("ito", "/release/".to_owned()),
        ("sato", format!("/release/{}/bundle", submit.output)),
    ] {
        let english = stage
            .get(person, Lang::En, &path)
            .await
            .text()
            .replace("aria-hidden=\"true\">結<", "")
            // The way to the other language is named in it.
            .replace("hreflang=\"ja\" lang=\"ja\">日本語<", "");
        let leaked: String = english.chars().filter(|c| is_japanese(*c)).collect();
        assert!(leaked.is_empty(), "{path}: {leaked}");
        assert!(english.contains("<html lang=\"en\">"));
        let japanese = stage.get(person, Lang::Ja, &path).await.text();
        assert!(japanese.contains("<html lang=\"ja\">"));
        // What stands between tags is Japanese, a name, a number, or a word without translation.
        let words = [
            "SQL",
            "sato",
            "mori",
            "ueda",
            "ito",
            "no",
            "region",
            "patients",
            "Patients by region",
        ];
        for piece in japanese
            .split('<')
            .filter_map(|piece| piece.split_once('>'))
            .map(|(_, text)| text.trim())
        {
            let is_prose = piece
                .split(' ')
                .filter(|w| w.len() > 3 && w.chars().all(|c| c.is_ascii_lowercase()))
                .count()
                > 2;
            assert!(
                !is_prose || words.contains(&piece) || piece.chars().any(is_japanese),
                "{path}: {piece}"
            );
        }
    }
}

#[tokio::test]
async fn every_page_forbids_scripts_frames_and_caching() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let form = "csrf=x";
    let path = format!("/review/output/{}", submit.output);
    let answers = [
        stage.get("mori", Lang::En, "/review/").await,
        stage.get("mori", Lang::En, &path).await,
        stage.get("mori", Lang::En, "/review/none").await,
        stage.get("sato", Lang::En, "/review/").await,
        stage.get("ito", Lang::En, "/release/").await,
        stage
            .request("mori", Lang::En, "POST", &format!("{path}/vote"), form)
            .await,
    ];
    for page in answers {
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        let text = page.text();
        assert!(
            !text.contains("<script") && !text.contains("style=\""),
            "{text}"
        );
        assert!(text.contains("emulated"), "the banner is on every page");
    }
    for sheet in ["/review/style.css", "/release/style.css"] {
        let style = stage.get("ito", Lang::En, sheet).await;
        assert_eq!(style.status, 200);
        assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
        assert!(!style.text().contains("url("));
    }
}

#[tokio::test]
async fn only_the_gateway_may_say_who_looks() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let page = |path: &str| {
        axum::http::Request::get(path)
            .header("host", SERVICE_NAME)
            .header(header::PERSON, "mori")
            .header(header::TERMINAL, "t1")
            .body(Bytes::new())
            .unwrap()
    };
    let path = format!("/review/output/{}", submit.output);
    for uri in [
        "kekkai://analysis/a1",
        "kekkai://policy",
        "kekkai://admin/mori",
        "kekkai://terminal/t1",
        "kekkai://review",
    ] {
        let client = stage.client_of(uri);
        for path in ["/review/", &path, "/release/", "/review/style.css"] {
            let answer = client.forward(page(path)).await.unwrap();
            assert_eq!(answer.status().as_u16(), 403, "{uri} {path}");
        }
    }
    let gateway = stage.client_of("kekkai://gateway");
    assert_eq!(
        gateway
            .forward(page("/review/"))
            .await
            .unwrap()
            .status()
            .as_u16(),
        200
    );
    // Nobody, two people, or no id: nobody.
    let bare = axum::http::Request::get("/review/").header("host", SERVICE_NAME);
    assert_eq!(
        gateway
            .forward(bare.body(Bytes::new()).unwrap())
            .await
            .unwrap()
            .status()
            .as_u16(),
        401
    );
    for (first, second) in [("mori", "ueda"), ("../x", "")] {
        let mut request = page("/review/");
        let headers = request.headers_mut();
        headers.insert(header::PERSON, first.parse().unwrap());
        if !second.is_empty() {
            headers.append(header::PERSON, second.parse().unwrap());
        }
        assert_eq!(
            gateway.forward(request).await.unwrap().status().as_u16(),
            401,
            "{first}"
        );
    }
}

#[tokio::test]
async fn contributors_are_shown_to_reviewers_on_demand() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let path = format!("/review/output/{}", submit.output);
    assert!(
        !stage
            .get("mori", Lang::En, &path)
            .await
            .text()
            .contains("4321")
    );
    let page = stage
        .get("mori", Lang::En, &format!("{path}?counts=1"))
        .await
        .text();
    assert!(page.contains("n=4321"));
    // Nobody else has that page.
    for person in ["sato", "ito", "nobody"] {
        let page = stage
            .get(person, Lang::En, &format!("{path}?counts=1"))
            .await;
        assert_eq!(page.status, 403);
        assert!(!page.text().contains("4321"));
    }
}

#[tokio::test]
async fn long_tables_are_shown_whole_over_several_pages() {
    let stage = Stage::start().await;
    let mut submit = submission("sato", table());
    table_of(&mut submit).rows = (0..450)
        .map(|i| {
            vec![
                Cell::Key(Value::Text(format!("group-{i}-end"))),
                cell(Value::Int(1_000 + 20 * i), 500),
            ]
        })
        .collect();
    stage.submit(&submit).await.unwrap();
    let path = format!("/review/output/{}", submit.output);
    let mut seen = String::new();
    for page in ["", "?page=2", "?page=3"] {
        seen.push_str(
            &stage
                .get("mori", Lang::En, &format!("{path}{page}"))
                .await
                .text(),
        );
    }
    for i in 0..450 {
        assert_eq!(seen.matches(&format!("group-{i}-end")).count(), 1, "{i}");
    }
    // Beyond the end is the last page; nonsense is the first.
    assert!(
        stage
            .get("mori", Lang::En, &format!("{path}?page=99"))
            .await
            .text()
            .contains("group-449-end")
    );
    assert!(
        stage
            .get("mori", Lang::En, &format!("{path}?page=x"))
            .await
            .text()
            .contains("group-0-end")
    );
}
