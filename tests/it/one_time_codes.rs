//! One-time codes beside those of a program that others wrote.

use std::process::Command;

use menshen::identity::totp_code_at;
use menshen::secret::Secret;

/// The codes of the 51 steps from `time` on, as Debian's oathtool shows them.
fn oathtool(secret: &[u8], time: i64) -> Vec<String> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let at = format!("--now=@{time}");
    let output = Command::new("oathtool").args(["--totp", "--window=50", &at, &hex]).output();
    let output = output.unwrap_or_else(|error| panic!("run tests/setup.sh first: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn one_time_codes_are_those_that_oathtool_shows() {
    for (length, time) in [(20, 0), (20, 59), (32, 1_111_111_109), (64, 1_800_000_000)] {
        let secret: Vec<u8> =
            (0..length).map(|at: u8| at.wrapping_mul(7).wrapping_add(length)).collect();
        let theirs = oathtool(&secret, time);
        assert_eq!(theirs.len(), 51);
        let secret = Secret::new(secret);
        let ours = (0..51).map(|step| totp_code_at(&secret, time + step * 30).unwrap());
        assert_eq!(ours.collect::<Vec<_>>(), theirs, "{length} bytes at {time}");
    }
}
