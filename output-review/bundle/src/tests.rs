//! A release is exactly what was approved, and nothing else verifies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_checks::{ProfileName, Report, check, check_content};
use kekkai_output::{
    Aggregate, BodyKind, Cell, Column, ColumnKind, Content, Evidence, Lineage, OutputDigest,
    ProgramBody, ProgramLineage, ProgramOutput, Read, Suppression, Table, Value, ValueType,
};
use kekkai_types::{AgreementId, DatasetId, Digest, OutputId, PersonId, Timestamp};

use crate::{
    Accept, Approval, ApprovalError, BundleError, Candidate, Release, ReleaseKey, ReleaseSigner,
    Subject, verify,
};

struct Case {
    output: OutputId,
    agreement: AgreementId,
    author: PersonId,
    content: Content,
    report: Report,
}

impl Case {
    fn new() -> Self {
        let table = Table {
            columns: vec![
                Column {
                    name: "region".to_owned(),
                    value_type: ValueType::Text,
                    kind: ColumnKind::Key,
                },
                Column {
                    name: "n".to_owned(),
                    value_type: ValueType::Int,
                    kind: ColumnKind::Statistic(vec![Aggregate::Count]),
                },
            ],
            rows: vec![
                vec![
                    Cell::Key(Value::Text("東,\"京\"".to_owned())),
                    Cell::Shown {
                        value: Value::Int(120),
                        evidence: Evidence {
                            contributors: 98_765,
                            largest_permille: 0,
                            second_permille: 0,
                            zeros: 0,
                            missing: 0,
                        },
                    },
                ],
                vec![
                    Cell::Key(Value::Text("西".to_owned())),
                    Cell::Suppressed(Suppression::Threshold),
                ],
            ],
            groups_withheld: 43_210,
            lineage: Lineage {
                sql: "SELECT region, COUNT(*) AS n FROM patients GROUP BY region".to_owned(),
                datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
                threshold: 10,
                dominance_permille: 500,
                engine: "engine 0.1.0".to_owned(),
                policy: Digest::of(b"terms"),
            },
        };
        Self {
            output: OutputId::new("o1").unwrap(),
            agreement: AgreementId::new("a1").unwrap(),
            author: PersonId::new("sato").unwrap(),
            report: check(&table, &ProfileName::Strict.profile()),
            content: Content::Table(table),
        }
    }

    fn table(&mut self) -> &mut Table {
        match &mut self.content {
            Content::Table(table) => table,
            Content::Program(_) => panic!("a program's output"),
        }
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            output: &self.output,
            agreement: &self.agreement,
            author: &self.author,
            submitted: Timestamp(1_000),
            content: &self.content,
            report: &self.report,
        }
    }

    fn vote(&self, reviewer: &str) -> Accept {
        Accept {
            output: self.output.clone(),
            reviewer: PersonId::new(reviewer).unwrap(),
            digest: self.content.digest().unwrap(),
            at: Timestamp(2_000),
        }
    }

    fn approval(&self) -> Approval {
        Approval::grant(&self.candidate(), [&self.vote("mori"), &self.vote("ueda")]).unwrap()
    }

    fn bundle(&self) -> Vec<u8> {
        Release::prepare(self.approval(), &self.candidate())
            .unwrap()
            .sign(&signer(), 77)
            .unwrap()
    }
}

fn signer() -> ReleaseSigner {
    ReleaseSigner::from_seed(&[7; 32])
}

#[test]
fn author_cannot_approve_own_output() {
    let case = Case::new();
    for votes in [["sato", "mori"], ["mori", "sato"]] {
        let [a, b] = votes.map(|v| case.vote(v));
        let refused = Approval::grant(&case.candidate(), [&a, &b]).unwrap_err();
        assert_eq!(refused, ApprovalError::AuthorVoted(case.author.clone()));
    }
}

#[test]
fn one_reviewer_is_not_two() {
    let case = Case::new();
    let refused =
        Approval::grant(&case.candidate(), [&case.vote("mori"), &case.vote("mori")]).unwrap_err();
    assert!(matches!(refused, ApprovalError::SameReviewerTwice(_)));
}

#[test]
fn vote_on_other_bytes_or_another_output_approves_nothing() {
    let case = Case::new();
    let mut stale = case.vote("ueda");
    stale.digest = OutputDigest(Digest::of(b"other"));
    let refused = Approval::grant(&case.candidate(), [&case.vote("mori"), &stale]).unwrap_err();
    assert!(matches!(refused, ApprovalError::StaleVote(_)));

    let mut foreign = case.vote("ueda");
    foreign.output = OutputId::new("o2").unwrap();
    let refused = Approval::grant(&case.candidate(), [&foreign, &case.vote("mori")]).unwrap_err();
    assert!(matches!(refused, ApprovalError::OtherOutput(_)));
}

#[test]
fn table_that_failed_its_checks_is_not_approved_by_anybody() {
    let mut case = Case::new();
    case.table().rows[0][1] = Cell::Shown {
        value: Value::Int(9),
        evidence: Evidence {
            contributors: 9,
            largest_permille: 0,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        },
    };
    case.report = check(case.table(), &ProfileName::Strict.profile());
    let refused =
        Approval::grant(&case.candidate(), [&case.vote("mori"), &case.vote("ueda")]).unwrap_err();
    assert!(matches!(refused, ApprovalError::FailedChecks(_)));
}

#[test]
fn approval_of_one_table_releases_no_other() {
    let case = Case::new();
    let approval = case.approval();
    let mut other = Case::new();
    other.table().lineage.sql.push(' ');
    let refused = Release::prepare(approval, &other.candidate()).unwrap_err();
    assert!(matches!(refused, BundleError::OtherApproval));
}

#[test]
fn released_bytes_are_the_approved_bytes() {
    let mut case = Case::new();
    let verified = verify(&case.bundle(), &signer().public()).unwrap();
    assert_eq!(verified.csv(), case.table().released_csv());
    assert_eq!(verified.record.digest, case.content.digest().unwrap());
    assert_eq!(verified.ledger_index, 77);
    assert_eq!(
        verified.record.reviewers.each_ref().map(|p| p.as_str()),
        ["mori", "ueda"]
    );
    let release = Release::prepare(case.approval(), &case.candidate()).unwrap();
    assert_eq!(verified.digest, release.digest());
}

#[test]
fn contributor_counts_stay_inside() {
    let case = Case::new();
    let bundle = case.bundle();
    let verified = verify(&bundle, &signer().public()).unwrap();
    let mut texts = vec![String::from_utf8(bundle).unwrap()];
    texts.extend(
        verified
            .files
            .iter()
            .map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()),
    );
    for text in texts {
        assert!(
            !text.contains("98765") && !text.contains("contributors\"") && !text.contains("43210")
        );
    }
}

#[test]
fn any_changed_byte_is_refused() {
    let bundle = Case::new().bundle();
    let key = signer().public();
    assert!(verify(&bundle, &key).is_ok());
    for place in 0..bundle.len() {
        // One bit, the case bit of letters, and the byte as a whole.
        for mask in [0x01, 0x20, 0xff] {
            let mut changed = bundle.clone();
            changed[place] ^= mask;
            assert!(
                verify(&changed, &key).is_err(),
                "byte {place}, mask {mask:#x}"
            );
        }
    }
}

#[test]
fn added_or_missing_bytes_are_refused() {
    let bundle = Case::new().bundle();
    let key = signer().public();
    for end in [0, 1, bundle.len() / 2, bundle.len() - 1] {
        assert!(verify(&bundle[..end], &key).is_err());
    }
    let mut longer = bundle.clone();
    longer.push(b'\n');
    assert!(verify(&longer, &key).is_err());
    let compact: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    assert!(verify(compact.to_string().as_bytes(), &key).is_err());
}

#[test]
fn other_key_verifies_nothing() {
    let other = ReleaseSigner::from_seed(&[8; 32]).public();
    assert!(matches!(
        verify(&Case::new().bundle(), &other),
        Err(BundleError::Signature)
    ));
}

#[test]
fn other_ledger_index_needs_another_signature() {
    let case = Case::new();
    let release = || Release::prepare(case.approval(), &case.candidate()).unwrap();
    let text = String::from_utf8(release().sign(&signer(), 77).unwrap()).unwrap();
    let moved = text.replace("\"ledger_index\": 77", "\"ledger_index\": 78");
    assert_ne!(text, moved);
    assert!(matches!(
        verify(moved.as_bytes(), &signer().public()),
        Err(BundleError::Signature)
    ));
}

#[test]
fn release_is_the_same_after_a_restart() {
    let case = Case::new();
    let release = Release::prepare(case.approval(), &case.candidate()).unwrap();
    let kept = release.bytes().to_vec();
    let digest = release.digest();
    let resumed = Release::resume(case.approval(), &kept).unwrap();
    assert_eq!(resumed.digest(), digest);
    assert_eq!(
        resumed.sign(&signer(), 77).unwrap(),
        release.sign(&signer(), 77).unwrap()
    );

    let mut other = Case::new();
    other.table().rows.pop();
    other.report = check(other.table(), &ProfileName::Strict.profile());
    assert!(matches!(
        Release::resume(other.approval(), &kept),
        Err(BundleError::OtherApproval)
    ));
    let spaced = [kept.as_slice(), b" "].concat();
    assert!(matches!(
        Release::resume(case.approval(), &spaced),
        Err(BundleError::NotCanonical)
    ));
}

#[test]
fn release_digest_is_that_of_the_compact_payload() {
    // As the module's documentation promises to whoever writes a verifier of their own.
    let bundle = Case::new().bundle();
    let text = String::from_utf8(bundle.clone()).unwrap();
    let verified = verify(&bundle, &signer().public()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut compact = String::from("{");
    for (i, name) in ["format", "files", "record"].iter().enumerate() {
        let start = text.find(&format!("\n  \"{name}\": ")).unwrap() + 1;
        let next = ["files", "record", "ledger_index"][i];
        let end = text.find(&format!("\n  \"{next}\": ")).unwrap();
        // Only white space outside strings differs.
        let mut in_string = false;
        let mut escaped = false;
        for c in text[start..end].chars() {
            if in_string || !c.is_whitespace() {
                compact.push(c);
            }
            (in_string, escaped) = match (c, escaped) {
                ('"', false) => (!in_string, false),
                ('\\', false) => (in_string, in_string),
                _ => (in_string, false),
            };
        }
    }
    compact.pop();
    compact.push('}');
    assert_eq!(Digest::of(compact.as_bytes()), verified.digest);
    assert_eq!(value["record"]["output"], "o1");
}

#[test]
fn keys_parse_and_print_nothing_secret() {
    let public = signer().public();
    assert_eq!(public.to_string().parse::<ReleaseKey>().unwrap(), public);
    for bad in [
        "",
        "AAAA",
        "not base64",
        &STANDARD.encode([0; 32]),
        &STANDARD.encode([1; 33]),
    ] {
        assert!(bad.parse::<ReleaseKey>().is_err(), "{bad}");
    }
    assert_eq!(format!("{:?}", signer()), "ReleaseSigner(…)");
    assert!(
        ReleaseSigner::from_pem(
            "-----BEGIN PRIVATE KEY-----\nabad1dea\n-----END PRIVATE KEY-----\n"
        )
        .is_err_and(|e| !e.to_string().contains("abad1dea"))
    );
}

/// A program's text, with a script and a statement that must stay inside.
fn program() -> Case {
    let content = Content::Program(ProgramOutput {
        body: ProgramBody::Text("The risk ratio is 1.42.\n".to_owned()),
        lineage: ProgramLineage {
            program: "python study.py".to_owned(),
            digest: Digest::of(b"script"),
            source: "print('script-sentinel')".to_owned(),
            args: vec!["--year=2024".to_owned()],
            reads: vec![Read {
                sql: "SELECT 'statement-sentinel'".to_owned(),
                rows: Some(98_765),
                persons: Some(43_210),
            }],
            datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
            threshold: 10,
            policy: Digest::of(b"terms"),
        },
    });
    Case {
        report: check_content(&content, &ProfileName::Strict.profile()),
        content,
        ..Case::new()
    }
}

#[test]
fn program_leaves_with_its_name_and_digest_and_nothing_that_it_could_have_written_into_them() {
    let case = program();
    let bundle = case.bundle();
    let verified = verify(&bundle, &signer().public()).unwrap();
    assert_eq!(verified.file("output.txt"), b"The risk ratio is 1.42.\n");
    assert_eq!(verified.csv(), b"", "there is no table in it");
    let Subject::Program { kind, source } = &verified.record.subject else {
        panic!("{:?}", verified.record.subject);
    };
    assert_eq!(*kind, BodyKind::Text);
    assert_eq!(source.program, "python study.py");
    assert_eq!(source.digest, Digest::of(b"script"));
    let mut whole = String::from_utf8(bundle).unwrap();
    for (name, file) in &verified.files {
        let text = String::from_utf8(file.clone()).unwrap();
        if name.starts_with("README") {
            assert!(text.contains(&Digest::of(b"script").to_string()), "{name}");
        }
        whole.push_str(&text);
    }
    for inside in ["script-sentinel", "statement-sentinel", "98765", "43210"] {
        assert!(!whole.contains(inside), "{inside}");
    }
    // What the program read is named all the same: other reads, another record.
    let mut other = program();
    if let Content::Program(output) = &mut other.content {
        output.lineage.reads[0].rows = None;
    }
    let other = verify(&other.bundle(), &signer().public()).unwrap();
    assert_ne!(other.record.subject, verified.record.subject);
}

#[test]
fn program_that_failed_its_checks_is_not_approved_by_anybody() {
    let mut case = program();
    if let Content::Program(output) = &mut case.content {
        output.lineage.reads[0].persons = Some(3);
    }
    case.report = check_content(&case.content, &ProfileName::Strict.profile());
    let refused =
        Approval::grant(&case.candidate(), [&case.vote("mori"), &case.vote("ueda")]).unwrap_err();
    assert!(matches!(refused, ApprovalError::FailedChecks(_)));
}

#[test]
fn vote_on_another_script_approves_nothing() {
    let case = program();
    let vote = case.vote("mori");
    let mut changed = program();
    if let Content::Program(output) = &mut changed.content {
        output.lineage.source.push(' ');
    }
    let refused = Approval::grant(&changed.candidate(), [&vote, &changed.vote("ueda")]);
    assert!(matches!(refused, Err(ApprovalError::StaleVote(_))));
}
