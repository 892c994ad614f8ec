//! Statements in files: an object a line.

use serde_json::Value;

use super::csv::Line;

/// A JSON object a line.
pub(super) fn objects(text: &str) -> Vec<Line> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err("must be a JSON object".to_owned()),
    };
    lines.map(|(number, line)| (number, read(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_objects_and_their_numbers_are_those_of_the_file() {
        let lines = objects("\n{\"say\":\"mark\"}\n[]\n{\n");
        let told: Vec<_> = lines.iter().map(|(number, line)| (*number, line.is_ok())).collect();
        assert_eq!(told, [(2, true), (3, false), (4, false)]);
    }
}
