// A security scanner for bun (https://bun.com/docs/install/security-scanner-api): before anything is installed, bun hands over
// what it is about to install, this asks a rapsheet server which of that is on its list, and bun stops on what comes back as fatal.

type Package = { name: string; version: string };
type Advisory = { level: "fatal" | "warn"; package: string; url: string | null; description: string | null };
type Listed = { url?: unknown; title?: unknown; vulnerable_versions?: unknown; cwe?: unknown };
type Settings = { url?: unknown; onError?: unknown };

const path = "/-/npm/v1/security/advisories/bulk";
const timeout = 10_000; // ms
const maliciousCode = "CWE-506"; // https://cwe.mitre.org/data/definitions/506.html
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g; // what would move the cursor or turn text around

// Settings are RAPSHEET_URL and RAPSHEET_ON_ERROR, or "rapsheet": {"url": …, "onError": …} in the project's package.json.
async function settings(): Promise<{ url: string; allow: boolean }> {
  const file = Bun.file("package.json");
  const own: Settings = (await file.exists()) ? ((await file.json()).rapsheet ?? {}) : {};
  const url = process.env.RAPSHEET_URL || own.url;
  const onError = process.env.RAPSHEET_ON_ERROR || own.onError || "fail";
  if (typeof url !== "string" || !/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error("the address of the server is not set: RAPSHEET_URL, or rapsheet.url in package.json");
  }
  if (onError !== "fail" && onError !== "allow") {
    throw new Error('RAPSHEET_ON_ERROR, or rapsheet.onError in package.json, is "fail" or "allow"');
  }
  return { url: url.replace(/\/+$/, ""), allow: onError === "allow" };
}

async function ask(url: string, packages: Package[]): Promise<Map<string, Listed[]>> {
  const asked = new Map<string, Set<string>>();
  for (const { name, version } of packages) {
    if (!asked.has(name)) asked.set(name, new Set());
    asked.get(name)!.add(version);
  }
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(Object.fromEntries([...asked].map(([name, versions]) => [name, [...versions]]))),
    signal: AbortSignal.timeout(timeout),
    redirect: "error",
  });
  if (!response.ok) throw new Error(`answers ${response.status}`);
  const answer: unknown = await response.json();
  if (typeof answer !== "object" || answer === null || !Object.values(answer).every(Array.isArray)) {
    throw new Error("answers with something that is no list of advisories");
  }
  return new Map(Object.entries(answer as Record<string, Listed[]>));
}

// A package of a registry has a version; one from a file, a directory or git has its place there instead.
function fromRegistry({ name, version }: Package): boolean {
  return typeof name === "string" && typeof version === "string" && /^\d/.test(version);
}

// The server names each version that was asked for and is on its list, or "*"; ranges are of a registry behind it.
function covers(range: string, version: string): boolean {
  return range === "*" || range.split("||").some(term => term.trim() === version) || Bun.semver.satisfies(version, range);
}

export const scanner = {
  version: "1",
  async scan({ packages }: { packages: Package[] }): Promise<Advisory[]> {
    const { url, allow } = await settings();
    const registry = packages.filter(fromRegistry);
    if (registry.length < packages.length) {
      console.error(`rapsheet: ${packages.length - registry.length} that come from no registry are not checked`);
    }
    let listed: Map<string, Listed[]>;
    try {
      listed = registry.length > 0 ? await ask(url, registry) : new Map();
    } catch (error) {
      // The origin only: an address may have a password.
      const why = `${new URL(url).origin}: ${error instanceof Error ? error.message : String(error)}`;
      if (!allow) throw new Error(`rapsheet: nothing is known about these packages: ${why}`);
      console.error(`rapsheet: not checked, and allowed by RAPSHEET_ON_ERROR or rapsheet.onError: ${why}`);
      return [];
    }
    const found: Advisory[] = [];
    for (const { name, version } of registry) {
      for (const a of listed.get(name) ?? []) {
        if (!Array.isArray(a?.cwe) || !a.cwe.includes(maliciousCode)) continue;
        if (typeof a.vulnerable_versions === "string" && !covers(a.vulnerable_versions, version)) continue;
        found.push({
          level: "fatal",
          package: name,
          url: typeof a.url === "string" ? a.url : null,
          description: `${typeof a.title === "string" ? a.title : "Malicious code"}: ${name}@${version}`.replace(unprintable, "\ufffd"),
        });
      }
    }
    return found;
  },
};
