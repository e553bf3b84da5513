//! Golden drawings: a change of one byte is looked at by a person. `KEKKAI_BLESS=1` writes them anew.

use kekkai_output::{Figure, FigureKind, ProgramBody, Series};

use crate::svg;

fn series(name: &str) -> Series {
    Series {
        name: name.to_owned(),
        ..Series::default()
    }
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn example(kind: FigureKind) -> Figure {
    let (x_label, y_label, series) = match kind {
        FigureKind::Bar => (
            "地域",
            "患者数(人)",
            vec![
                Series {
                    labels: labels(&["東日本", "西日本", "九州・沖縄"]),
                    y: vec![1200.0, 900.0, 310.0],
                    low: vec![1130.0, 840.0, 275.0],
                    high: vec![1270.0, 960.0, 345.0],
                    ..series("曝露群")
                },
                Series {
                    labels: labels(&["西日本", "北海道"]),
                    y: vec![450.0, 120.0],
                    ..series("対照群")
                },
            ],
        ),
        FigureKind::Line => (
            "month",
            "HbA1c (%)",
            vec![Series {
                x: vec![0.0, 3.0, 6.0, 9.0, 12.0],
                y: vec![7.4, 7.1, 6.9, 6.85, 6.8],
                low: vec![7.2, 6.95, 6.7, 6.6, 6.55],
                high: vec![7.6, 7.25, 7.1, 7.1, 7.05],
                ..series("mean")
            }],
        ),
        FigureKind::Scatter => (
            "mean age (years)",
            "admissions per 1,000",
            vec![Series {
                x: vec![42.1, 55.0, 61.7, 70.2],
                y: vec![-3.0, 80.5, 120.0, 190.0],
                ..series("hospitals")
            }],
        ),
        FigureKind::Histogram => (
            "年齢",
            "人数",
            vec![Series {
                low: vec![20.0, 40.0, 60.0],
                high: vec![40.0, 60.0, 90.0],
                y: vec![150.0, 420.0, 380.0],
                ..series("全体")
            }],
        ),
        FigureKind::Box => (
            "sex",
            "eGFR",
            vec![Series {
                labels: labels(&["female", "male"]),
                low: vec![58.0, 55.0],
                y: vec![71.0, 68.5],
                high: vec![84.0, 82.0],
                ..series("eGFR")
            }],
        ),
        FigureKind::KaplanMeier => (
            "days since the first prescription",
            "survival",
            vec![
                Series {
                    x: vec![30.0, 90.0, 180.0, 365.0],
                    y: vec![0.98, 0.93, 0.9, 0.86],
                    low: vec![0.96, 0.9, 0.86, 0.81],
                    high: vec![0.99, 0.95, 0.93, 0.9],
                    ..series("drug <A> & \"B\"")
                },
                Series {
                    x: vec![60.0, 200.0],
                    y: vec![0.97, 0.94],
                    ..series("control")
                },
            ],
        ),
        FigureKind::Forest => (
            "risk ratio",
            "subgroup",
            vec![Series {
                labels: labels(&["全体", "65歳未満", "65歳以上", "男性", "女性"]),
                x: vec![1.42, 1.1, 1.6, 1.5, 1.35],
                low: vec![1.1, 0.7, 1.15, 1.05, 0.9],
                high: vec![1.83, 1.73, 2.23, 2.14, 2.02],
                ..series("RR")
            }],
        ),
    };
    Figure {
        kind,
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        series,
    }
}

fn name(kind: FigureKind) -> String {
    serde_json::to_value(kind)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn each_kind_is_drawn_as_the_golden_file_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for kind in FigureKind::ALL {
        let figure = example(kind);
        ProgramBody::Figure(figure.clone()).check_shape().unwrap();
        let drawn = svg(&figure);
        let path = folder.join(format!("{}.svg", name(kind)));
        if std::env::var_os("KEKKAI_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            drawn,
            golden,
            "{} (KEKKAI_BLESS=1 writes it anew)",
            path.display()
        );
    }
}

#[test]
fn drawing_is_well_formed_and_holds_nothing_active() {
    for kind in FigureKind::ALL {
        let mut figure = example(kind);
        let wild = "<script>alert(1)</script>]]>\"'&\u{1b}\u{0}";
        figure.x_label = wild.to_owned();
        figure.y_label = wild.to_owned();
        for series in &mut figure.series {
            series.name = wild.to_owned();
            for label in &mut series.labels {
                label.insert_str(0, wild);
            }
        }
        let drawn = svg(&figure);
        let document = roxmltree::Document::parse(&drawn).unwrap();
        for element in document.descendants().filter(|node| node.is_element()) {
            let tag = element.tag_name().name();
            assert!(
                ["svg", "title", "rect", "line", "path", "circle", "text"].contains(&tag),
                "{tag}"
            );
            for attribute in element.attributes() {
                let known = attribute.name();
                assert!(
                    !known.starts_with("on") && known != "style" && known != "href",
                    "{known}"
                );
            }
        }
        assert!(drawn.contains("&lt;script&gt;") && !drawn.contains("<script"));
    }
}

#[test]
fn figure_of_any_numbers_is_drawn_inside_its_paper() {
    for kind in FigureKind::ALL {
        for scale in [0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1e-9, -4.2] {
            let mut figure = example(kind);
            for series in &mut figure.series {
                for list in [
                    &mut series.x,
                    &mut series.y,
                    &mut series.low,
                    &mut series.high,
                ] {
                    for (index, number) in list.iter_mut().enumerate() {
                        *number = if index == 0 { scale } else { *number };
                    }
                }
            }
            let drawn = svg(&figure);
            assert!(
                !drawn.contains("NaN") && !drawn.contains("inf"),
                "{kind:?} {scale}"
            );
            let document = roxmltree::Document::parse(&drawn).unwrap();
            let root = document.root_element();
            let (wide, tall): (f64, f64) = (
                root.attribute("width").unwrap().parse().unwrap(),
                root.attribute("height").unwrap().parse().unwrap(),
            );
            for element in document.descendants() {
                for (name, most) in [("x", wide), ("cx", wide), ("y", tall), ("cy", tall)] {
                    if let Some(at) = element.attribute(name) {
                        let at: f64 = at.parse().unwrap();
                        assert!((0.0..=most).contains(&at), "{kind:?} {scale}: {name}={at}");
                    }
                }
            }
        }
    }
}

#[test]
fn many_groups_and_series_still_fit() {
    let groups: Vec<String> = (0..400)
        .map(|group| format!("group number {group}"))
        .collect();
    let figure = Figure {
        kind: FigureKind::Bar,
        x_label: String::new(),
        y_label: String::new(),
        series: (0..50)
            .map(|index| Series {
                labels: groups.clone(),
                y: vec![1.0; 400],
                ..series(&format!("a series with a long name, number {index}"))
            })
            .collect(),
    };
    let drawn = svg(&figure);
    assert!(drawn.matches("group number").count() <= 48);
    assert_eq!(drawn.matches("a series with").count(), 50);
    roxmltree::Document::parse(&drawn).unwrap();
}
