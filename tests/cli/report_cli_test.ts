import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runTask } from "../helpers/command.ts";

const report = Deno.readTextFileSync(new URL("../config/version1_report.json", import.meta.url));

Deno.test("report makes the page of a run anew, and says of a folder without a run what is missing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const run = () => runTask("report", [folder]);
    assertMatch((await run()).errors[0]!, /report\.json": there is no such path/);
    await Deno.writeTextFile(`${folder}/report.json`, report);
    const made = await run();
    assertEquals([made.code, made.stdout], [0, `Written: ${folder}/report.html\n`], made.stderr);
    const page = await Deno.readTextFile(`${folder}/report.html`);
    assertStringIncludes(page, "<h1>");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "report.html",
      "report.json",
    ]);
    await Deno.writeTextFile(`${folder}/times.json`, `{"started":"yesterday"}`);
    assertMatch((await run()).errors[0]!, /Cannot read ".*times\.json": it is another file, expected times/);
    assertEquals(await Deno.readTextFile(`${folder}/report.html`), page);
    await Deno.writeTextFile(`${folder}/report.json`, "{}");
    assertMatch(
      (await run()).errors[0]!,
      /Cannot read ".*report\.json": it is another file, expected a report/,
    );
    const none = await runTask("report", []);
    assertEquals(none.errors, [
      'error: Cannot report on "run": nothing was named, expected the folder of a run',
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
