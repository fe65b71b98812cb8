//! The picture: what it says. What it looks like is for people to see.

use std::fs;

use crate::program::output;

fn drawn(arguments: &str, stdin: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.svg");
    output(&format!("{arguments} --plot {}", path.display()), stdin);
    fs::read_to_string(path).unwrap()
}

/// The texts of the picture in order.
fn texts(image: &str) -> Vec<String> {
    let pieces = image.split("<text").skip(1);
    let texts = pieces.map(|piece| {
        piece
            .split_once('>')
            .unwrap()
            .1
            .split_once("</text>")
            .unwrap()
            .0
    });
    texts.map(|text| text.trim().to_owned()).collect()
}

/// How many shapes have this colour, be it their line or their area.
fn coloured(image: &str, colour: &str) -> usize {
    image.matches(&format!("=\"{colour}\"")).count()
}

#[test]
fn titles_units_legend_and_shares_are_written_in_it() {
    let image = drawn("--generate --flows 2000 --compare rr,wlc,fewest", "");
    assert!(image.starts_with("<svg") && image.trim_end().ends_with("</svg>"));
    let texts = texts(&image);
    let count = |text: &str| texts.iter().filter(|it| *it == text).count();
    assert_eq!(
        count("TCP service 10.1.0.100:80: 2000 flows through rr, wlc, fewest"),
        1
    );
    for scheduler in ["rr", "wlc", "fewest"] {
        assert_eq!(
            count(scheduler),
            2,
            "{scheduler}: over its chart and under its bar"
        );
    }
    assert_eq!((count("time, s"), count("active connections")), (3, 3));
    assert_eq!((count("share of the flows, %"), count("scheduler")), (1, 1));
    assert_eq!((count("by weight"), count("server (weight)")), (1, 1));
    for legend in ["0 (4)", "1 (3)", "2 (2)", "3 (1)"] {
        assert_eq!(count(legend), 1, "{legend}");
    }
    for share in [
        "0: 40.0 %",
        "1: 30.0 %",
        "2: 20.0 %",
        "3: 10.0 %",
        "0: 25.0 %",
        "3: 25.0 %",
    ] {
        assert!(count(share) >= 1, "{share}");
    }
}

/// Okabe and Ito's colours; the ninth server has the first one's, dashed and striped.
#[test]
fn servers_have_colours_of_their_own_and_dashes_when_those_run_out() {
    let colours = [
        "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442",
    ];
    let two = drawn("--generate --flows 300 --servers 1,1", "");
    assert!(coloured(&two, colours[0]) > 0 && coloured(&two, colours[1]) > 0);
    for colour in ["#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"] {
        assert_eq!(coloured(&two, colour), 0, "{colour}");
    }
    let eight = drawn("--generate --flows 300 --servers 1,1,1,1,1,1,1,1", "");
    for colour in colours {
        assert!(coloured(&eight, colour) > 0, "{colour}");
    }
    let nine = drawn("--generate --flows 300 --servers 1,1,1,1,1,1,1,1,1", "");
    // A dash is a line of its own.
    assert!(coloured(&nine, colours[0]) > coloured(&eight, colours[0]) + 20);
}

#[test]
fn scenario_without_time_is_drawn_by_events_and_udp_by_all_connections() {
    let image = drawn("simulate/scenarios/wlc.json", "");
    assert!(texts(&image).contains(&"events".to_owned()));
    let image = drawn("--generate --flows 300 --protocol udp", "");
    assert!(texts(&image).contains(&"connections".to_owned()));
    assert!(
        texts(&image)
            .iter()
            .any(|text| text.starts_with("UDP service"))
    );
}

/// Four connections beside hundreds would be a line on the axis.
#[test]
fn charts_share_a_scale_unless_one_would_be_flat() {
    let own_scale = |arguments: &str| {
        let texts = texts(&drawn(arguments, ""));
        texts
            .iter()
            .any(|text| text.contains("each chart with a scale of its own"))
    };
    assert!(!own_scale("--generate --flows 2000 --compare wrr,wlc"));
    assert!(own_scale("--generate --flows 2000 --compare wrr,ovf"));
}

#[test]
fn narrow_bars_have_short_labels() {
    let names = "rr,wrr,lc,wlc,lblc,lblcr,dh,sh,sed,nq,mh,twos";
    let image = drawn(
        &format!("--generate --flows 500 --servers 1 --compare {names}"),
        "",
    );
    let count = texts(&image).iter().filter(|text| *text == "100 %").count();
    assert_eq!(count, 13);
}

#[test]
fn nothing_and_very_much_can_be_drawn() {
    let empty = r#"{"scheduler": "rr", "virtual": "10.1.0.100:80", "servers": []}"#;
    assert!(drawn("-", empty).ends_with("</svg>\n"));
    let weights = vec!["1"; 40].join(",");
    let image = drawn(
        &format!("--generate --flows 5000 --servers {weights} --compare rr,lc"),
        "",
    );
    assert!(texts(&image).contains(&"16 others".to_owned()));
    // One of the last gets everything: it is among those that are drawn.
    let weights = format!("{},9", vec!["1"; 39].join(","));
    let options = format!("--generate --flows 2000 --servers {weights} --compare fo");
    let image = drawn(&options, "");
    assert!(texts(&image).contains(&"39: 100.0 %".to_owned()));
}
