// Writes tokenizer.json (a tiny byte-level BPE with Qwen2's steps, trained here) and golden.json (what the
// Hugging Face tokenizers library makes of many texts). The tests read both files and need no npm.
// Made with npm package tokenizers 0.23.2 on Node 20:   npm install tokenizers@0.23.2 && node make-golden.js
const { createHash } = require("crypto");
const fs = require("fs");
const path = require("path");
const { Tokenizer } = require("tokenizers");

const pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const corpus = `Ann has 3 apples and Ben has 5 more apples than Ann. How many apples do they have together?
They're sure that it's what we've said: I'm here, you'll go, he'd stay, don't you?
The café's naïve façade — Zoë's coöperation. Die Größe der Straße, ça va bien, señor?
for (int i = 0; i < 100; i++) {\n    total += values[i];\n\n    if (total > 10) break;\n}
<think>First add 3 and 5.</think>\n\n8
日本語のテキスト。中文文本，数学问题。한국어 텍스트 입니다.
Привет, как дела? Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया
😀 😀 👍🏽 👩‍👩‍👧‍👦 🇩🇪`;

// The byte alphabet.
const alphabet = [];
for (let b = 0, shifted = 256; b < 256; b++) {
  const printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  alphabet.push(String.fromCodePoint(printable ? b : shifted++));
}

// A plain trainer: merge the most frequent pair, of equals the first in order.
function train(count) {
  const regex = new RegExp(pattern.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"), "gu");
  let words = corpus.normalize("NFC").match(regex).map(w => [...Buffer.from(w)].map(b => alphabet[b]));
  const merges = [];
  while (merges.length < count) {
    const counts = new Map();
    for (const w of words) for (let i = 0; i + 1 < w.length; i++) { const k = w[i] + " " + w[i + 1]; counts.set(k, (counts.get(k) || 0) + 1); }
    let best = null;
    for (const [k, n] of counts) if (best === null || n > counts.get(best) || (n === counts.get(best) && k < best)) best = k;
    if (best === null || counts.get(best) < 2) break;
    const [l, r] = best.split(" ");
    merges.push([l, r]);
    words = words.map(w => { const o = []; for (let i = 0; i < w.length; i++) if (i + 1 < w.length && w[i] === l && w[i + 1] === r) { o.push(l + r); i++; } else o.push(w[i]); return o; });
  }
  return merges;
}

const merges = train(400);
const vocab = {};
for (const a of alphabet) vocab[a] = Object.keys(vocab).length;
for (const [l, r] of merges) if (!(l + r in vocab)) vocab[l + r] = Object.keys(vocab).length;
// A token that no merge makes: found with ignore_merges only.
vocab["\u0120unmergeable"] = Object.keys(vocab).length;

const size = Object.keys(vocab).length;
const added = (id, content, special, normalized = false) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized, special });
const file = {
  version: "1.0", truncation: null, padding: null,
  added_tokens: [
    added(size, "<|endoftext|>", true), added(size + 1, "<|im_start|>", true), added(size + 2, "<|im_end|>", true),
    added(size + 3, "<think>", false), added(size + 4, "</think>", false),
    added(size + 5, "<|im_", false), // a beginning of another: the longest wins
    added(size + 6, "two words", false), added(size + 7, "\u00e9t\u00e9", false, true), // found after normalization
    added(size + 9, "\u{1F680}", false), // an id is left free before it
  ],
  normalizer: { type: "NFC" },
  pre_tokenizer: { type: "Sequence", pretokenizers: [
    { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false }] },
  post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
  decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
  model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
};
// Ids of added tokens must follow one another for the library; the free id is a token of its own.
file.added_tokens.splice(8, 0, added(size + 8, "<|free|>", false));

const texts = [
  "", " ", "  ", "   ", "\n", "\r\n", "\n\n\n", " \n", "\n ", "  \n  x", "\t", "a\tb", "x  y", "x   y ", "x\u00a0y", "x \u3000 y", "\u2028\u2029\u0085", "\u180e\u200b",
  "hello", " hello", "Hello World", "HELLO", "it's", "IT'S", "it\u2019s", "we've you'll I'm he'd they're don't", "'s", "''s", "'S'T'RE'Ve'M'lL'D", "'\u017f", "x'\u017fy", "'\u212a", "'l", "'r", "'v", "'ree", "'", "a'", "a'b",
  "1", "12", "123 4567", "3.14", "1,000,000", "x2y", "\u00bd\u2167\u0663", "1\u0301",
  "caf\u00e9", "cafe\u0301", "\u0301", "e\u0301\u0302", "a\u0323\u0307", "a\u0307\u0323", "\u1e69", "s\u0323\u0307", "\u212b \u2126 \u212a", "\u0344", "\u0958", "\u2adc", "\ufb1d", "\u1100\u1161\u11a8", "\u1100\u1161", "\uac00\u11a8", "\uac01\u11a8", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u0915\u093c", "\u3099", "\u304b\u3099", "\u{1d15e}", "\u{11131}\u{11127}", "\u{f900}\u{2f800}", "q\u0307\u0323\u0345", "\u0f71\u0f72\u0f74\u0f80",
  "日本語", "中文文本，数学问题。", "\u{20000}\u{2a6df}\u{30000}", "x\u{20000}y", "\u{10400}\u{10428}", "\u{1d400}\u{1d7d8}", "\u{1e900}\u{118a0}", "\u{104a0}\u{1f100}", "한국어 텍스트", "שלום", "مرحبا", "नमस्ते", "ไทย", "\u{1e922}'s",
  "😀", "😀😀", " 😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "a😀b", "😀\n\n", "!?\r\n\r\nx", " !", "  !", "...\n...", "@#$%^&*()", "<html></html>", "a_b", "_a", "$a", "\u0000", "a\u0000b", "\ufffd", "\ufeffx", "\ue000\u{f0000}",
  "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n", "<|im_start|><|im_end|>", "<|im_<|im_end|>", "<|im_star", "x<|im_", "<|endoftext|>", "<think>3+5</think>\n\n8", "<<think>>", "< think>", "two words", "two  words", " two words.", "\u00e9t\u00e9", "e\u0301te\u0301", "l'\u00e9t\u00e9!", "\u{1F680}\u{1F680}x", "e\u0301<think>\u0301",
  " unmergeable", "unmergeable", " unmergeable unmergeable!", "x unmergeables",
  "Ann has 3 apples and Ben has 5 more apples than Ann. How many apples do they have together?",
  "for (int i = 0; i < 100; i++) {\n    total += values[i];\n\n    if (total > 10) break;\n}\n", "a".repeat(300), " ".repeat(70), "\n".repeat(33) + " ", "ab".repeat(200), "hello ".repeat(40), corpus,
];

// Random texts of a fixed generator.
let state = 12345;
const random = n => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n; };
const pools = ["abcdefgThe'sdmtlrv", "0123456789", "    \t\n\r", "\u00e9\u00fc\u0301\u0323\u0308eaou", ".,;:!?'\"-_<>|", "日本中文한국\u1100\u1161\u11a8", "\u{1F600}\u{1F44D}\u{1F3FD}\u200d", "\u{20000}\u{10428}\u{1d7d8}\u{1e922}", "\u0915\u093c\u094d\u0924\u0643\u064e\u0651\u05d0\u05b0", "\u00a0\u2003\u3000\u2028\u0085"].map(p => [...p]);
for (let i = 0; i < 400; i++) {
  let text = "";
  for (let length = 1 + random(24); length > 0; length--) {
    const pool = pools[random(pools.length)];
    for (let run = 1 + random(3); run > 0; run--) text += pool[random(pool.length)];
    if (random(40) === 0) text += ["<|im_start|>", "<think>", "two words", "\u00e9t\u00e9"][random(4)];
  }
  texts.push(text);
}

const plain = Tokenizer.fromString(JSON.stringify(file));
const whole = Tokenizer.fromString(JSON.stringify({ ...file, model: { ...file.model, ignore_merges: true } }));

// Decoded text is left out where it equals the text that was encoded, and again without special tokens where that changes nothing.
async function decode(ids, text) {
  const decoded = await plain.decode(ids, false), skipped = await plain.decode(ids, true);
  return { ...(decoded === text ? {} : { decoded }), ...(skipped === decoded ? {} : { skipped }) };
}

(async () => {
  const cases = [];
  for (const text of texts) {
    const ids = (await plain.encode(text, null, { addSpecialTokens: true })).getIds();
    const ignoring = (await whole.encode(text, null, { addSpecialTokens: true })).getIds();
    cases.push({ text, ids, ...(ids.join() === ignoring.join() ? {} : { ignoringMerges: ignoring }), ...(await decode(ids, text)) });
  }
  // Ids that no text gives: halves of characters, bytes that are never UTF-8, ids beyond the vocabulary.
  const decodes = [];
  for (let i = 0; i < 120; i++) {
    const ids = Array.from({ length: 1 + random(12) }, () => random(4) ? random(256) : random(size + 12));
    decodes.push({ ids, ...(await decode(ids, "")) });
  }

  // Digests over all code points.
  const normalizer = plain.getNormalizer();
  const split = Tokenizer.fromString(JSON.stringify({ ...file, added_tokens: [], pre_tokenizer: file.pre_tokenizer.pretokenizers[0] })).getPreTokenizer();
  const nfc = createHash("sha256"), pieces = createHash("sha256");
  for (let c = 0; c < 0x110000; c++) {
    if ((c >= 0xd800 && c < 0xe000) || (c >= 0x32000 && c < 0xe0000) || c >= 0xe0200) continue;
    const s = String.fromCodePoint(c);
    for (const text of [s, "a" + s + "\u0327\u0301", "\u1100" + s + "\u11a8", "o\u0345" + s + "\u0316" + s]) nfc.update(normalizer.normalizeString(text) + "\n");
    for (const text of ["a" + s + "b" + s + s + " " + s, "1'" + s + "  " + s, s + "\n" + s + "!"]) pieces.update(split.preTokenizeString(text).map(p => p[0]).join("\u0001") + "\u0002");
  }

  const escape = json => json.replace(/[\u007f-\uffff]/g, c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  const lines = list => "[\n" + list.map(x => escape(JSON.stringify(x))).join(",\n") + "\n]";
  fs.writeFileSync(path.join(__dirname, "tokenizer.json"), JSON.stringify(file, null, 1).replace(/\[\n\s+("(?:[^"\\]|\\.)+"),\n\s+("(?:[^"\\]|\\.)+")\n\s+\]/g, "[$1, $2]") + "\n");
  fs.writeFileSync(path.join(__dirname, "golden.json"), `{"library": "npm tokenizers 0.23.2",\n"nfc": "${nfc.digest("hex")}",\n"pieces": "${pieces.digest("hex")}",\n"cases": ${lines(cases)},\n"decodes": ${lines(decodes)}}\n`);
})();
