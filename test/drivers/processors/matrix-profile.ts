/**
 * A profile after the published command tables of a real serial matrix: no command terminator, two commands for one parameter, a table taper,
 * channels, acknowledgements that look like what the front panel causes.
 */
export const MATRIX = String.raw`
schema: outboard.profile/1
id: test.matrix
version: 0.1.0
sources: [{kind: manual, ref: chapter 4}]
device: {make: Test, model: Matrix 16x8, class: [matrix]}
transport: {kind: serial, baud: 9600, format: 8N1, flow: none}
framing: {kind: line, txEnd: "", rxEnd: "\r\n", rxMax: 160, rxGapMs: 40, encoding: latin1, echo: none}
pacing: {gapMs: 1, replyMs: 60, quietMs: 5, maxInFlight: 1, retries: 2}
identity: {strength: model, steps: [{tx: N, rx: '^(?<part>60-\d{3}-\d{2})$', must: {part: 60-330-16}}]}
errors: [{rx: '^E22$', as: busy}, {rx: '^E1[123]$|^E01$', as: bad-value}, {rx: '^E\d\d$', as: unsupported}]
unsolicited: [{rx: '^\([cC]\) Copyright', means: reboot}, {rx: '^(Qik|In|Amt|Rpr|Exe)', means: local-change}]
axes: {in: {from: 1, to: 16}, out: {from: 1, to: 8}}
params:
  inGain: {kind: number, unit: dB, min: -18, max: 24, step: 1, gain: true, axis: [in], taper: {t: linear},
    wire: {enc: ascii, tx: "{in}*{w}G", txNeg: "{in}*{abs}g", ack: "In{in:02} Aud{w:+03}"},
    read: {tx: "{in}G", reply: "{w:+03}"}, verify: {by: readback, tolWire: 0}, settleMs: 3, hazard: level}
  outVol: {kind: number, unit: dB, min: -85, max: 0, gain: true, axis: [out],
    taper: {t: table, interp: linear, points: [[0,-85],[1,-63],[64,0]]},
    wire: {enc: ascii, tx: "{out}*{w}V", ack: "Out{out:02} Vol{w:02}"},
    read: {tx: "{out}V", reply: "{w:02}"}, verify: {by: readback}, settleMs: 2, hazard: level}
  mute: {kind: bool, axis: [out], taper: {t: enum, map: {"off": 0, "on": 1}},
    wire: {enc: ascii, tx: "{out}*{w}Z", ack: "Amt{out:02}*{w}"}, read: {tx: "{out}Z", reply: "{w}"}, verify: {by: readback}}
  lock: {kind: enum, taper: {t: enum, map: {free: 0, full: 1, basic: 2}},
    wire: {enc: ascii, tx: "{w}X", ack: "Exe{w}"}, verify: {by: ack}}
  lamp: {kind: bool, taper: {t: enum, map: {"off": 0, "on": 1}}, wire: {enc: ascii, tx: "{w}L"}, verify: {by: none}}
order: [lock, mute, "*"]
safe: {state: {mute: "on", outVol: -85, inGain: 0}, order: [mute, outVol], settleMs: 4, onLinkLoss: operator}
sim:
  bootMs: 5
  banner: "(c) Copyright 2007, Test"
  replyMs: [0, 2]
  identity: [60-330-16]
  errors: {busy: E22, bad-value: E13, unsupported: E10}
  drives: {"inGain@in=1": gainDb, "outVol@out=1": gainDb, "mute@out=1": muted}
vectors:
  - {set: {inGain@in=7: -9}, tx: 7*9g, rx: In07 Aud-09}
  - {set: {inGain@in=16: 24}, tx: 16*24G, rx: In16 Aud+24}
  - {set: {outVol@out=1: -14}, tx: 1*50V, rx: Out01 Vol50}
  - {set: {outVol@out=8: -85}, tx: 8*0V, rx: Out08 Vol00}
  - {set: {mute@out=2: "on"}, tx: 2*1Z, rx: Amt02*1}
  - {set: {lock: basic}, tx: 2X, rx: Exe2}
  - {set: {lamp: "on"}, tx: 1L}
`;
