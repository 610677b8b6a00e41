/**
 * The table of error codes: what to do about each, and the sysexits(3) status of a command that ends with it.
 * Every row has an entry of the same name in docs/troubleshooting.md.
 */

const USAGE = 64; // EX_USAGE
const DATA = 65; // EX_DATAERR
const NOINPUT = 66; // EX_NOINPUT
const UNAVAILABLE = 69; // EX_UNAVAILABLE
const SOFTWARE = 70; // EX_SOFTWARE
const CANTCREAT = 73; // EX_CANTCREAT
const IOERR = 74; // EX_IOERR
const TEMPFAIL = 75; // EX_TEMPFAIL
const NOPERM = 77; // EX_NOPERM
const CONFIG = 78; // EX_CONFIG

export const ERRORS = {
  internal: {
    exit: SOFTWARE,
    advice: 'This is a fault in outboard. Keep the log and report it with the steps that led here.',
  },
  usage: { exit: USAGE, advice: 'Run the command with --help and correct the arguments.' },

  'config.unreadable': { exit: CONFIG, advice: 'Correct the file at the line named, then run `outboard check`.' },
  'config.invalid': { exit: CONFIG, advice: 'Correct the value at the path named, then run `outboard check`.' },
  'config.key': {
    exit: CONFIG,
    advice: 'Put the key file in place with mode 0600, or run `outboard init` for a new rig.',
  },
  'config.exists': { exit: CANTCREAT, advice: 'Choose an empty folder: existing keys are never overwritten.' },
  'instance.second': { exit: TEMPFAIL, advice: 'Another daemon holds this state directory. Stop it first, or use it.' },

  'envelope.too-large': {
    exit: DATA,
    advice: 'Keep a token under 32 KiB: send audio through the store, not in a token.',
  },
  'envelope.malformed': { exit: DATA, advice: 'Send a compact JWS (RFC 7515) of three base64url parts.' },
  'envelope.header': { exit: DATA, advice: 'Use exactly {alg, typ, kid} as protected header, with alg EdDSA.' },
  'envelope.typ': { exit: DATA, advice: 'Use the typ that belongs to this purpose (docs/protocol).' },
  'envelope.signature': { exit: DATA, advice: 'Sign with the key that the trust bundle lists under this kid.' },
  'envelope.not-canonical': {
    exit: DATA,
    advice: 'Serialize the payload as RFC 8785 JSON before signing; no duplicate keys.',
  },
  'envelope.schema': { exit: DATA, advice: 'Correct the field at the path named; docs/protocol has the schema.' },
  'envelope.issuer': { exit: DATA, advice: 'Set iss to the name that the trust bundle gives to the signing key.' },
  'envelope.audience': { exit: DATA, advice: 'Set aud to the id of the rig that shall act.' },
  'envelope.expired': { exit: DATA, advice: 'Sign a new token; check the clock of the signer.' },
  'envelope.not-yet-valid': { exit: DATA, advice: 'Wait until nbf, or correct the clock of the signer.' },
  'envelope.lifetime': { exit: DATA, advice: 'Keep exp - iat at or below 7 days.' },
  'envelope.role': { exit: NOPERM, advice: 'Use a key whose role in the trust bundle allows this.' },
  'envelope.revoked': {
    exit: NOPERM,
    advice: 'The signing key was revoked. Sign again with a key of the current trust bundle.',
  },
  'envelope.unknown-key': {
    exit: NOPERM,
    advice: 'Publish a trust bundle that lists this kid, or sign with a listed key.',
  },
  'envelope.retained': { exit: DATA, advice: 'Publish offers without the retain flag, and clear the retained one.' },
  'envelope.replayed': { exit: DATA, advice: 'Use a new jti for a new payload.' },

  'trust.signature': {
    exit: NOPERM,
    advice: 'Have the bundle signed by the threshold of root keys pinned in the configuration.',
  },
  'trust.invalid': { exit: DATA, advice: 'Correct the bundle at the path named and sign it again.' },
  'trust.version': { exit: DATA, advice: 'Publish a bundle with a higher version than the one in force.' },
  'trust.expired': { exit: NOPERM, advice: 'Publish a fresh trust bundle: no new job is taken until then.' },
  'trust.missing': {
    exit: CONFIG,
    advice: 'Install a trust bundle: POST it to control.sock or publish it on outboard/v1/trust.',
  },
  'trust.clock': { exit: CONFIG, advice: 'The host clock is earlier than the trust bundle. Set the clock.' },

  'grant.missing': { exit: DATA, advice: 'Put a grant, signed by a keeper for exactly this job, into the job.' },
  'grant.mismatch': {
    exit: DATA,
    advice: 'Ask the keeper for a grant that names this rig, this job and this dispatcher.',
  },
  'grant.key': { exit: DATA, advice: "The keeper must wrap the key to this rig's wrapping key from the trust bundle." },
  'grant.binding': {
    exit: DATA,
    advice: 'The wrapped key belongs to another source, tenant or list of recipients. Wrap it again.',
  },
  'grant.recipient': { exit: DATA, advice: 'Name age recipients (age1…) that the rig can seal for.' },

  'job.processor': { exit: DATA, advice: 'Use a processor of this rig; its state topic lists them.' },
  'job.setting': { exit: DATA, advice: "Use a setting of the processor's profile, with a value in the range named." },
  'job.verify': { exit: DATA, advice: 'Say verify: "sent-ok" for a processor that cannot be read back.' },
  'job.region': { exit: DATA, advice: 'Keep the region inside the source.' },
  'job.limit': { exit: DATA, advice: "Stay within the limit named, or have the rig's limits raised." },
  'chain.width': { exit: DATA, advice: 'Send a source whose channel count is that of every insert in the chain.' },
  'chain.insert': { exit: DATA, advice: 'Use each insert once in a chain.' },
  'interface.rate': { exit: DATA, advice: 'Send a source at a rate that the interface runs: nothing is resampled.' },

  'rig.busy': { exit: TEMPFAIL, advice: 'Offer the job again later, with a new jti.' },
  'rig.unacknowledged': { exit: TEMPFAIL, advice: 'Acknowledge the events already received, then offer again.' },
  'rig.clock': { exit: TEMPFAIL, advice: "The rig's clock is not synchronised. No new job is taken until it is." },
  'rig.mode': { exit: TEMPFAIL, advice: 'The rig is not in a mode that allows this. See `outboard status`.' },
  'rig.epoch': { exit: DATA, advice: 'The rig began a new epoch after a restore. Sign a new job.' },
  'rig.disk-full': {
    exit: IOERR,
    advice: "Free space on the spool's disk; the job can be offered again with a new jti.",
  },
  'rig.unreachable': { exit: UNAVAILABLE, advice: 'Start outboardd, or name its socket with --socket.' },
  'rig.answer': {
    exit: SOFTWARE,
    advice: 'The rig answered something that its local API does not know. Run the same version of all processes.',
  },

  'source.digest': { exit: DATA, advice: 'The stored source is not what the grant names. Upload it again.' },
  'source.size': { exit: DATA, advice: 'The stored source has another size than the grant names. Upload it again.' },
  'source.seal': {
    exit: DATA,
    advice: 'The source cannot be opened with the granted key. Seal it again with its own identity.',
  },
  'source.format': {
    exit: DATA,
    advice: 'The WAV differs from the format that the keeper signed. Sign what the file is.',
  },
  'source.unavailable': {
    exit: UNAVAILABLE,
    advice: 'The store does not hold the source, or does not answer. Upload it, or mend the store.',
  },
  'source.full-scale': {
    exit: DATA,
    advice: 'A sample is over full scale at the frame named. Lower the source or driveDb.',
  },

  'wav.malformed': { exit: DATA, advice: 'Send a RIFF, RF64 or BW64 WAVE file with a fmt and a data chunk.' },
  'wav.unsupported': { exit: DATA, advice: 'Use 16, 24 or 32-bit integer or 32 or 64-bit float samples.' },
  'wav.empty': { exit: DATA, advice: 'The file holds no frames. Send one with sound in it.' },
  'wav.truncated': { exit: DATA, advice: 'The file ends before its data chunk does. Export it again.' },

  'analyze.channels': {
    exit: DATA,
    advice: 'Give a file with the channels that the measurement needs; see --channel.',
  },
  'analyze.rate': { exit: DATA, advice: 'Stimulus and capture must have one rate: nothing is resampled.' },

  'take.spoiled': {
    exit: IOERR,
    advice: 'A sample was lost in every attempt. See the faults in the event; measure the interface.',
  },
  'take.aborted': {
    exit: TEMPFAIL,
    advice: 'The take was ended on purpose. Offer the job again if it is still wanted.',
  },
  'take.full-scale': {
    exit: IOERR,
    advice:
      "The return is over full scale behind its trim at the frame named. Lower driveDb, or measure the insert's trims.",
  },
  'take.drift': {
    exit: IOERR,
    advice: 'A processor did not keep the recalled settings during the take. Lock its front panel.',
  },
  'job.attempts': { exit: IOERR, advice: 'All attempts are spent. See the last error in the event.' },
  'job.expired': {
    exit: TEMPFAIL,
    advice: 'startBy passed before the first attempt. Offer the job again with a later one.',
  },
  'job.cancelled': { exit: TEMPFAIL, advice: 'The dispatcher cancelled the job.' },
  'job.too-late': { exit: TEMPFAIL, advice: 'The take is sealed already; its result will be delivered.' },
  'job.unknown': { exit: NOINPUT, advice: 'Name a job that this rig knows.' },

  'audio.busy': { exit: UNAVAILABLE, advice: 'Another program holds the interface. Stop it.' },
  'audio.gone': {
    exit: UNAVAILABLE,
    advice: 'The interface is not there. Check power and cable; the daemon waits for it.',
  },
  'audio.denied': { exit: NOPERM, advice: "Give the daemon's user access to the sound devices." },
  'audio.format': { exit: CONFIG, advice: 'Choose a rate, width and channel count that the interface runs.' },
  'audio.late': { exit: IOERR, advice: 'Samples arrived after their time. The host is too slow or was stopped.' },
  'audio.latency': {
    exit: CONFIG,
    advice: 'The driver does not know its loop latency at this rate. Measure it, or run the sync channel.',
  },
  'audio.device': {
    exit: CONFIG,
    advice: 'Name the card itself, hw:CARD=NAME,DEV=N; `outboard interface list` shows what is there.',
  },
  'audio.driver': {
    exit: CONFIG,
    advice: 'The driver is not built on this host. Install the package named and run `npm rebuild` in the tree.',
  },
  'audio.sync': {
    exit: IOERR,
    advice:
      'The sync channel is not heard. Check the cable between the output and the input that interface.sync names.',
  },
  'audio.closed': { exit: SOFTWARE, advice: 'The interface was closed while it was in use.' },

  'processor.port': {
    exit: UNAVAILABLE,
    advice: 'Compare the port in rig.yaml with what is plugged in; it is tried again by itself.',
  },
  'processor.identity': {
    exit: CONFIG,
    advice: 'Another unit answers on this port. Check the wiring against the configuration.',
  },
  'processor.lost': {
    exit: UNAVAILABLE,
    advice: "Check the unit's power and cable; it is identified again when it answers.",
  },
  'processor.timeout': {
    exit: UNAVAILABLE,
    advice: 'The unit did not answer in time. Check power, cable and baud rate.',
  },
  'processor.reply': {
    exit: IOERR,
    advice: 'The unit answered something else than its profile says. Check model and firmware.',
  },
  'processor.unverified': { exit: IOERR, advice: 'The unit does not report what was set. Check its front panel lock.' },
  'processor.changed': {
    exit: TEMPFAIL,
    advice: 'Somebody turned a knob at the unit. Lock its front panel, or enter maintenance before working at it.',
  },
  'processor.unsafe': {
    exit: IOERR,
    advice: 'Bring the unit into its safe state by hand: the daemon cannot, and gives it no job until it can.',
  },
  'profile.import': { exit: DATA, advice: 'Name a device file of the OpenMIDI project, as it is.' },
  'profile.invalid': {
    exit: CONFIG,
    advice: 'Correct the profile at the path named; docs/profiles.md explains every key.',
  },
  'profile.unknown': { exit: CONFIG, advice: 'Use an id that `outboard profiles list` names.' },
  'insert.owner': {
    exit: CONFIG,
    advice:
      'Look what the insert holds, then say so in maintenance: `outboard maintenance insert NAME --empty` or `--tenant ID`.',
  },
  'insert.noisy': {
    exit: IOERR,
    advice: "The insert's return did not become quiet. Check the unit and its cabling, or raise isolation.quietDbfs.",
  },
  'insert.unheard': {
    exit: CONFIG,
    advice:
      'Give the profile of the unit a `hearing`, or keep the insert for one tenant: what cannot be heard cannot be called quiet.',
  },

  'interface.released': {
    exit: TEMPFAIL,
    advice: 'A technician gave the interface to outside tools. `outboard maintenance exit` takes it back.',
  },
  'calibration.insert': { exit: DATA, advice: 'Name an insert of this rig: `outboard status` lists them.' },
  'calibration.ceiling': {
    exit: DATA,
    advice:
      'Measure at a lower level, or raise ceilingDbfs of the insert in rig.yaml when the gear behind it can take it.',
  },
  'calibration.answer': {
    exit: DATA,
    advice: 'Read the meter again while the tone plays: volts are above 0, and the question must still be open.',
  },
  'calibration.busy': {
    exit: TEMPFAIL,
    advice: 'One run measures at a time, and gear that is measured is not set: wait for the run, or end it.',
  },
  'calibration.settings': {
    exit: IOERR,
    advice: 'A processor did not keep its settings while it was measured. Leave the gear alone, and measure again.',
  },
  'calibration.run': { exit: DATA, advice: 'Name a run that goes on, or has just ended.' },
  'calibration.trim': {
    exit: DATA,
    advice:
      'Look at the cable, at the level switches of the converter and at the reading; then measure the level again.',
  },
  'calibration.aborted': {
    exit: TEMPFAIL,
    advice:
      'Measure again. Where time was over: `outboard maintenance enter --for SECONDS` makes a session longer while it lasts.',
  },

  'journal.open': {
    exit: CONFIG,
    advice: 'The journal cannot be opened with this key. Put the right journal key in place.',
  },
  'journal.commit': {
    exit: IOERR,
    advice: "A commit's outcome is unknown; the daemon restarts and reads the journal again.",
  },
  'journal.schema': { exit: CONFIG, advice: 'The journal was written by a newer outboard. Install that version.' },
  'calibration.path': {
    exit: CONFIG,
    advice:
      'Measure the insert again (`outboard calibrate level`): until then it is trimmed as the calibration file says.',
  },
  'calibration.limit': {
    exit: IOERR,
    advice: 'Look at the insert with `outboard report`, then measure it again in maintenance.',
  },
  'calibration.drift': {
    exit: IOERR,
    advice:
      'Look at the unit. If it is as it shall be, make the new run the baseline (`outboard calibration baseline`).',
  },
  'report.chromium': {
    exit: UNAVAILABLE,
    advice:
      'Install it (apt-get install --no-install-recommends chromium), or write --html and print it from a browser.',
  },
  'history.open': {
    exit: CONFIG,
    advice: 'The calibration history cannot be opened. Check the file; set it aside to begin a new one.',
  },
  'history.broken': {
    exit: CONFIG,
    advice: 'The rig has begun a new history. Put a backup in place of it, or measure anew (`outboard calibrate`).',
  },
  'history.schema': {
    exit: CONFIG,
    advice: 'The calibration history was written by a newer outboard. Install that version.',
  },
  'history.damaged': {
    exit: DATA,
    advice: 'The stored document is not the one that was signed. Restore the history from a backup.',
  },
  'history.unknown': { exit: NOINPUT, advice: '`outboard calibration history` lists the runs that there are.' },
  'history.partial': { exit: DATA, advice: 'Measure again, and make that run the baseline.' },
  'history.known': { exit: DATA, advice: 'A run and a version are written once. Give the new one another name.' },
  'limits.version': {
    exit: CONFIG,
    advice: 'The limits were changed under a version that is in use already. Give the file a new version.',
  },
  'limits.class': {
    exit: CONFIG,
    advice: 'Use a built-in class (`outboard calibration limits` lists them), or define it under classes.',
  },
  'blob.unexpected': { exit: DATA, advice: 'The rig did not ask for this blob; nothing was stored.' },
  'blob.offset': { exit: DATA, advice: 'Continue at the offset that HEAD gives.' },

  'store.status': {
    exit: UNAVAILABLE,
    advice: 'The store refused. See the status; check its log and the client certificate.',
  },
  'store.redirect': {
    exit: UNAVAILABLE,
    advice: 'The store redirects; redirects are never followed. Configure its real origin.',
  },
  'store.slow': { exit: UNAVAILABLE, advice: 'The store stayed below the minimum rate. Check the network.' },
  'store.size': { exit: DATA, advice: 'The store sent more or fewer bytes than granted.' },
  'store.unreachable': {
    exit: UNAVAILABLE,
    advice: 'The store cannot be reached. Check its address, the network and the certificates.',
  },
  'store.digest': {
    exit: DATA,
    advice: 'The store holds other bytes under this digest. Remove the object and upload it again.',
  },
  'broker.unreachable': {
    exit: UNAVAILABLE,
    advice: 'The broker cannot be reached. Check its address, the network and the certificates.',
  },
  'broker.refused': {
    exit: NOPERM,
    advice: "The broker refused. Check the certificate's CN, the ACL and the revocation list.",
  },

  'bounce.refused': { exit: DATA, advice: 'The rig refused the job; the code of the refusal says why.' },
  'bounce.failed': { exit: IOERR, advice: 'The rig gave up on the job; the code of the event says why.' },
  'bounce.timeout': {
    exit: TEMPFAIL,
    advice: 'No verdict came. Check that the rig is reachable; the job can be sent again with the same jti.',
  },
  'demo.process': {
    exit: SOFTWARE,
    advice: 'A process of the demo ended by itself. Its last words are in the message; report them.',
  },

  'seal.open': { exit: DATA, advice: 'The file cannot be opened with this identity, or was changed.' },
  'seal.header': { exit: DATA, advice: 'The age header is larger than 64 KiB. Seal for fewer recipients.' },
  'file.unreadable': { exit: NOINPUT, advice: 'Check that the file exists and may be read.' },
  'file.exists': { exit: CANTCREAT, advice: 'Choose another name: an existing file is never overwritten.' },
  'file.write': { exit: IOERR, advice: 'Check space and permissions of the folder.' },
  'session.nonce': { exit: NOPERM, advice: 'Ask for a new nonce on the same connection and sign it.' },
} as const satisfies Record<string, { exit: number; advice: string }>;

export type ErrorCode = keyof typeof ERRORS;
