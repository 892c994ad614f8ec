//! Tests of the tests beside the policy.
