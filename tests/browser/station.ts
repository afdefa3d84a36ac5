// A whole station for the browser tests: kiln-sim, kilnd and kiln-gateway with the built page, in a folder of its
// own. Every wait looks at real state and has a deadline; what a process printed is shown when one fails.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TOP = fileURLToPath(new URL('../..', import.meta.url));
const BIN = resolve(process.env['KILN_BIN'] ?? join(TOP, 'build/bin'));
const STUBS = process.env['KILN_STUBS'] ?? join(TOP, '.cache/stubs');
// The machine may be busy with everything else.
export const PATIENCE_MS = 60_000;

export async function until(condition: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what()}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

export interface StationOptions {
  // NAME:CHIP, as kiln-sim takes them; each becomes a port with the alias A1, A2 ….
  boards: string[];
  simulatorOptions?: string[];
  gatewayOptions?: string[];
}

export class Station {
  readonly home = mkdtempSync(join(tmpdir(), 'kiln-browser-'));
  readonly records = join(this.home, 'records');
  readonly address = `unix://${this.home}/kilnd.sock`;
  url = '';
  private simulator: ChildProcess | null = null;
  private daemon: ChildProcess | null = null;
  private gateway: ChildProcess | null = null;

  private constructor(private readonly options: StationOptions) {}

  static async start(options: StationOptions): Promise<Station> {
    const station = new Station(options);
    try {
      await station.startSimulator();
      station.writeConfiguration();
      await station.startDaemon();
      await station.startGateway('127.0.0.1:0');
      return station;
    } catch (error) {
      await station.close();
      throw error;
    }
  }

  log(name: string): string {
    const path = join(this.home, `${name}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async startDaemon(): Promise<void> {
    this.daemon = this.spawn('kilnd', ['--config', join(this.home, 'kiln.toml')]);
    await until(
      () =>
        this.kiln('health').then(
          () => true,
          () => false,
        ),
      () => this.log('kilnd'),
    );
  }

  async killDaemon(): Promise<void> {
    await end(this.daemon, 'SIGKILL');
    this.daemon = null;
  }

  async stopGateway(): Promise<void> {
    await end(this.gateway, 'SIGKILL');
    this.gateway = null;
  }

  // At the address of before, unless another one is given.
  async startGateway(listen = this.url.replace('http://', '')): Promise<void> {
    const before = this.log('kiln-gateway').length;
    this.gateway = this.spawn('kiln-gateway', [
      ...['--listen', listen, '--metrics-listen', '', '--daemon', this.address],
      ...['--page-folder', join(TOP, 'clients/web/dist')],
      ...(this.options.gatewayOptions ?? []),
    ]);
    const served = () => /127\.0\.0\.1:\d+/.exec(this.log('kiln-gateway').slice(before))?.[0];
    await until(
      () => served() !== undefined,
      () => this.log('kiln-gateway'),
    );
    this.url = `http://${served()}`;
  }

  async kiln(...commandLine: string[]): Promise<Record<string, unknown>[]> {
    const { stdout } = await run(join(BIN, 'kiln'), ['--address', this.address, '--json', ...commandLine]);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  // A demonstration bundle in the station's store.
  async importBundle(chip: string, bytes: number, title: string): Promise<void> {
    await this.kiln('firmware', 'import', await this.makePackage(chip, bytes), '--title', title);
  }

  async makePackage(chip: string, bytes: number): Promise<string> {
    const folder = join(this.home, `firmware-${chip}-${bytes}`);
    await run(join(BIN, 'kiln-sim'), ['make-bundle', '--chip', chip, '--size', String(bytes), folder]);
    return folder;
  }

  control(command: string): Promise<unknown> {
    return run(join(BIN, 'kiln-sim'), ['ctl', '--dir', join(this.home, 'boards'), command]);
  }

  recordFiles(): string[] {
    return existsSync(this.records) ? readdirSync(this.records).filter((name) => name.endsWith('.json')) : [];
  }

  async close(): Promise<void> {
    await end(this.gateway, 'SIGTERM');
    await end(this.daemon, 'SIGTERM');
    await end(this.simulator, 'SIGTERM');
    rmSync(this.home, { recursive: true, force: true });
  }

  private async startSimulator(): Promise<void> {
    if (this.options.boards.length === 0) return;
    this.simulator = this.spawn('kiln-sim', [
      ...['run', '--dir', join(this.home, 'boards')],
      ...(this.options.simulatorOptions ?? []),
      ...this.options.boards.flatMap((board) => ['--board', board]),
    ]);
    await until(
      () => /^ready/m.test(this.log('kiln-sim')),
      () => this.log('kiln-sim'),
    );
  }

  private writeConfiguration(): void {
    const { home } = this;
    const ports = this.options.boards.flatMap((board, index) => {
      const name = board.split(':')[0];
      return [
        '[[port]]',
        `name = "${name}"`,
        `alias = "A${index + 1}"`,
        `address = "pty://${home}/boards/${name}"`,
      ];
    });
    const lines = [
      '[station]',
      'id = "bench-1"',
      `state_directory = "${home}/state"`,
      `export_directory = "${home}/records"`,
      `temp_directory = "${home}/tmp"`,
      `socket = "${home}/kilnd.sock"`,
      '[flash]',
      `stub_directory = "${STUBS}"`,
      '[metrics]',
      'address = ""',
      ...ports,
    ];
    writeFileSync(join(home, 'kiln.toml'), `${lines.join('\n')}\n`);
  }

  private spawn(program: string, commandLine: string[]): ChildProcess {
    const log = openSync(join(this.home, `${program}.log`), 'a');
    return spawn(join(BIN, program), commandLine, { stdio: ['ignore', log, log] });
  }
}

async function end(process: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (process === null || process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise((done) => process.once('exit', done));
  process.kill(signal);
  await ended;
}
