// Two tones, made on the spot: rising for done, two low ones for attention. Browsers allow sound only after the
// person has used the page, which switching it on is.
const TONES = {
  done: [
    { frequency: 660, at: 0 },
    { frequency: 880, at: 0.16 },
  ],
  attention: [
    { frequency: 330, at: 0 },
    { frequency: 330, at: 0.28 },
  ],
} as const;

let context: AudioContext | null = null;

export function play(tone: keyof typeof TONES): void {
  try {
    context ??= new AudioContext();
    void context.resume();
    for (const { frequency, at } of TONES[tone]) {
      const oscillator = context.createOscillator();
      const gain = context.createGain();
      const start = context.currentTime + at;
      oscillator.frequency.value = frequency;
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(0.25, start + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, start + 0.22);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(start);
      oscillator.stop(start + 0.25);
    }
  } catch {
    // No sound device: sounds are never the only sign.
  }
}
