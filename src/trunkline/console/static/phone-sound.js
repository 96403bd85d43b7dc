// Microphone and loudspeakers: which ones, whether they work, and the ring.
// @ts-check

const STORED = "trunkline-phone-sound";

/** The devices that the person has chosen in this browser. */
export class Sound {
  constructor() {
    /** @type {{ microphone: string, speaker: string, ringer: string, processed: boolean }} */
    this.chosen = { microphone: "", speaker: "", ringer: "", processed: true };
    try {
      Object.assign(this.chosen, JSON.parse(localStorage.getItem(STORED) ?? "{}"));
    } catch {
      // What is stored is none of ours.
    }
    /** @type {AudioContext | null} */
    this._ring = null;
  }

  /**
   * @param {"microphone" | "speaker" | "ringer"} which
   * @param {string} id of the device, "" for that of the system
   */
  choose(which, id) {
    this.chosen[which] = id;
    this._store();
  }

  /** @param {boolean} on whether the browser takes noise and echo out of what the microphone hears */
  process(on) {
    this.chosen.processed = on;
    this._store();
  }

  _store() {
    localStorage.setItem(STORED, JSON.stringify(this.chosen));
  }

  /** @returns {MediaTrackConstraints} */
  get microphone() {
    const on = this.chosen.processed;
    const wanted = { echoCancellation: on, noiseSuppression: on, autoGainControl: on };
    return this.chosen.microphone ? { ...wanted, deviceId: { ideal: this.chosen.microphone } } : wanted;
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  async devices() {
    return navigator.mediaDevices?.enumerateDevices() ?? [];
  }

  /**
   * Let an element play on the chosen loudspeaker.
   * @param {HTMLMediaElement} element
   */
  async direct(element) {
    if (typeof element.setSinkId !== "function") return;
    try {
      await element.setSinkId(this.chosen.speaker);
    } catch {
      await element.setSinkId("");
    }
  }

  /**
   * How loud the microphone is, from 0 to 1, until it is stopped.
   * @param {(level: number) => void} show
   * @returns {Promise<() => void>} stops it
   */
  async level(show) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: this.microphone });
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      show(Math.min(1, 3 * Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length)));
    }, 100);
    return () => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
      context.close();
    };
  }

  /** Two tones, for a moment: whether one hears them. */
  async play() {
    const context = await this._context(this.chosen.speaker);
    tone(context, [440, 480], 0, 1);
    setTimeout(() => context.close(), 1500);
  }

  async ring() {
    if (this._ring !== null) return;
    this._ring = await this._context(this.chosen.ringer);
    const context = this._ring;
    for (let at = 0; at < 60; at += 4) tone(context, [440, 480], at, 1.2);
  }

  quiet() {
    this._ring?.close();
    this._ring = null;
  }

  /** @param {string} device */
  async _context(device) {
    const context = new AudioContext();
    const choosing = /** @type {{ setSinkId?: (id: string) => Promise<void> }} */ (/** @type {unknown} */ (context));
    if (device && choosing.setSinkId) await choosing.setSinkId(device).catch(() => {});
    return context;
  }
}

/**
 * @param {AudioContext} context
 * @param {number[]} frequencies Hz
 * @param {number} from seconds from now
 * @param {number} seconds
 */
function tone(context, frequencies, from, seconds) {
  const gain = context.createGain();
  gain.gain.value = 0.08;
  gain.connect(context.destination);
  for (const frequency of frequencies) {
    const oscillator = context.createOscillator();
    oscillator.frequency.value = frequency;
    oscillator.connect(gain);
    oscillator.start(context.currentTime + from);
    oscillator.stop(context.currentTime + from + seconds);
  }
}
