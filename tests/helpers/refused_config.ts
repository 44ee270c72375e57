import assert from "node:assert/strict";
import { parseRunConfig } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";

/** Asserts that a configuration is refused with one line that holds all the given texts. */
export function assertRefused(value: unknown, ...texts: readonly string[]): void {
  assert.throws(() => parseRunConfig(value, "run.json"), (error) => {
    assert(error instanceof ConfigError);
    assert(!error.message.includes("\n"));
    for (const text of [...texts, "run.json"]) assert(error.message.includes(text), error.message);
    return true;
  });
}
