import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { FileError } from "../src/errors.ts";
import { dirname, type Files } from "../src/files.ts";
import { denoFiles } from "../src/deno/files.ts";
import { memoryFiles } from "./helpers/memory_files.ts";

/** Both implementations must answer alike; `act` gets one of them and an empty folder of it. */
function testFiles(behaviour: string, act: (files: Files, folder: string) => Promise<void>): void {
  Deno.test(`denoFiles ${behaviour}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await act(denoFiles, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
  Deno.test(`memoryFiles() ${behaviour}`, async () => {
    const files = memoryFiles();
    await files.makeFolder("/made");
    await act(files, "/made");
  });
}

testFiles("writes, replaces, lists, reads and removes", async (files, folder) => {
  const path = `${folder}/b.bin`;
  await files.write(path, Uint8Array.of(1, 2, 3));
  await files.write(path, Uint8Array.of(4));
  await files.write(`${folder}/a.bin`, new Uint8Array(0));
  assertEquals(await files.read(path), Uint8Array.of(4));
  assertEquals(await files.sizeBytes(path), 1);
  assertEquals(await files.sizeBytes(`${folder}/a.bin`), 0);
  assertEquals(await files.list(folder), ["a.bin", "b.bin"]);
  await files.remove(path);
  await files.remove(path);
  assertEquals(await files.list(folder), ["a.bin"]);
});

testFiles("says undefined of what is absent", async (files, folder) => {
  assertEquals(await files.sizeBytes(`${folder}/absent`), undefined);
  assertEquals(await files.list(`${folder}/absent`), undefined);
});

testFiles("makes folders inside each other, again too", async (files, folder) => {
  await files.makeFolder(`${folder}/x/y`);
  await files.makeFolder(`${folder}/x/y`);
  await files.write(`${folder}/x/y/z`, Uint8Array.of(1));
  assertEquals(await files.list(folder), ["x"]);
  assertEquals(await files.list(`${folder}/x/y`), ["z"]);
});

testFiles("refuses with the path and the cause", async (files, folder) => {
  await files.write(`${folder}/file`, Uint8Array.of(1));
  const refused: readonly [() => Promise<unknown>, string][] = [
    [() => files.read(`${folder}/absent`), `Cannot read "${folder}/absent": there is no such path`],
    [() => files.read(folder), `Cannot read "${folder}": it is a folder`],
    [() => files.sizeBytes(folder), `Cannot read "${folder}": it is a folder`],
    [() => files.list(`${folder}/file`), `Cannot list "${folder}/file": it is not a folder`],
    [
      () => files.write(`${folder}/absent/file`, Uint8Array.of(1)),
      `Cannot write "${folder}/absent/file": there is no`,
    ],
    [() => files.write(folder, Uint8Array.of(1)), `Cannot write "${folder}": it is a folder`],
    [
      () => files.makeFolder(`${folder}/file`),
      `Cannot make folder "${folder}/file": another file is in the way`,
    ],
  ];
  for (const [act, message] of refused) await assertRejects(act, FileError, message);
});

Deno.test("denoFiles.write() leaves neither a temporary file nor a change where it fails", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/taken/inside`, { recursive: true });
  await assertRejects(
    () => denoFiles.write(`${folder}/taken`, Uint8Array.of(1)),
    FileError,
    "expected a writable file",
  );
  assertEquals(await denoFiles.list(folder), ["taken"]);
  assertEquals(await denoFiles.list(`${folder}/taken`), ["inside"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("denoFiles.write() writes many bytes whole", async () => {
  const folder = await Deno.makeTempDir();
  const bytes = Uint8Array.from({ length: 3_000_001 }, (_, i) => i % 251);
  await denoFiles.write(`${folder}/large`, bytes);
  assertEquals(await denoFiles.sizeBytes(`${folder}/large`), bytes.length);
  assertEquals((await denoFiles.read(`${folder}/large`)).every((value, i) => value === i % 251), true);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("dirname() cuts the last name off", () => {
  assertEquals(["a/b/c", "a", "/a", "a\\b"].map(dirname), ["a/b", ".", "/", "a"]);
});

Deno.test("denoFiles reads regular files only, and waits for no other", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pipe = `${folder}/pipe`;
    const { code } = await new Deno.Command("sh", { args: ["-c", 'mkfifo "$0"', pipe] }).output();
    assertEquals(code, 0);
    const wrong = [[folder, "a folder"], [pipe, "a pipe"], ["/dev/zero", "a device"]];
    for (const [path, kind] of wrong) {
      const part = `"${path}": it is ${kind}, expected a regular file`;
      await assertRejects(() => denoFiles.read(path), FileError, part);
      await assertRejects(() => denoFiles.sizeBytes(path), FileError, part);
    }
    await Deno.symlink(pipe, `${folder}/link`);
    await assertRejects(() => denoFiles.read(`${folder}/link`), FileError, "a pipe");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("denoFiles reads files up to a size", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array(10));
    assertEquals((await denoFiles.read(path, { maxBytes: 10 })).length, 10);
    await assertRejects(
      () => denoFiles.read(path, { maxBytes: 9 }),
      FileError,
      "it has 10 bytes, expected at most 9",
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("denoFiles.realPath() follows links", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const realPath = denoFiles.realPath!;
    await Deno.mkdir(`${folder}/a`);
    await Deno.writeTextFile(`${folder}/a/file`, "");
    await Deno.symlink(`${folder}/a`, `${folder}/link`);
    assertEquals(await realPath(`${folder}/link/./file`), `${folder}/a/file`.replaceAll("\\", "/"));
    assertEquals(await realPath(`${folder}/absent`), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("denoFiles.identity() knows links", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const identity = denoFiles.identity!, path = `${folder}/a`;
    await Deno.writeTextFile(path, "same");
    await Deno.writeTextFile(`${folder}/copy`, "same");
    await Deno.symlink(path, `${folder}/link`);
    await Deno.link(path, `${folder}/hard`);
    const own = await identity(path);
    assertEquals([await identity(`${folder}/link`), await identity(`${folder}/./hard`)], [own, own]);
    assertNotEquals(await identity(`${folder}/copy`), own);
    assertEquals(await identity(`${folder}/absent`), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
