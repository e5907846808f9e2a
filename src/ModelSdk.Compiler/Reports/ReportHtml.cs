using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports;

/// <summary>report.html: report.json for people, in one file without scripts or links, light and dark.</summary>
internal static class ReportHtml
{
    public const string FileName = "report.html";

    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6168; --line: #d8dce1; --paper: #ffffff; --panel: #f5f6f8; --accent: #2563eb; --good: #157f3b; --bad: #b42318; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3ad; --line: #343a41; --paper: #14171a; --panel: #1d2125; --accent: #7aa2ff; --good: #5fd38a; --bad: #ff8f85; } }
        body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
        h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
        .soft { color: var(--soft); } code { font-size: .9em; overflow-wrap: anywhere; } .wide { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
        th { color: var(--soft); font-weight: 600; } th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
        .share { width: 8rem; } .bar { display: inline-block; height: .6rem; background: var(--accent); border-radius: 2px; }
        .trace { background: var(--panel); border-radius: 8px; padding: .8rem 1rem; margin: .8rem 0; }
        .trace p { margin: .3rem 0; white-space: pre-wrap; overflow-wrap: anywhere; } .right { color: var(--good); } .wrong { color: var(--bad); }
        svg { width: 100%; height: 9rem; background: var(--panel); border-radius: 8px; } polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
        """;

    public static byte[] Bytes(JsonObject report)
    {
        StringBuilder html = new();
        string name = Text(report["name"]);
        html.Append(CultureInfo.InvariantCulture, $"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>{name}: model report</title>
            <style>
            {Style}
            </style>
            </head>
            <body>
            <h1>{name}</h1>
            <p class="soft"><code>{Text(report["digest"])}</code><br>modelc {Text(report["compiler"])}, {Text(report["machine"]?["rid"])}, {Text(report["machine"]?["processors"])} processors, seed {Text(report["baseline"]?["seed"])}</p>

            """);
        AddEvaluation(html, report);
        AddTraining(html, report);
        AddParity(html, report);
        AddStages(html, report);
        AddSizes(html, report);
        AddTraces(html, report);
        return Encoding.UTF8.GetBytes(html.Append("</body>\n</html>\n").ToString());
    }

    private static void AddEvaluation(StringBuilder html, JsonObject report)
    {
        if (report["evaluation"] is not JsonObject evaluation)
        {
            html.Append("<h2>Evaluation</h2>\n<p>The manifest names no evaluation data, so nothing was measured.</p>\n");
            return;
        }

        html.Append(CultureInfo.InvariantCulture, $"<h2>Evaluation</h2>\n<p>{Text(evaluation["base"]?["examples"])} unseen questions, {Text(evaluation["decoding"])}, at most {Text(evaluation["maxTokens"])} tokens.</p>\n");
        html.Append("<div class=\"wide\"><table>\n<tr><th>mode</th><th class=\"n\">right</th><th class=\"n\">95% interval</th><th class=\"n\">mean tokens</th><th class=\"n\">median</th><th class=\"n\">cut off</th><th></th></tr>\n");
        Row("base, answering directly", evaluation["base"]!);
        foreach ((string adapter, JsonNode? modes) in evaluation["adapters"]!.AsObject())
        {
            Row($"{adapter}, Torch at full precision", modes!["sft"]!);
            Row($"{adapter}, as deployed", modes["deployed"]!);
        }

        html.Append("</table></div>\n");

        void Row(string title, JsonNode mode)
        {
            double accuracy = JsonNumbers.Number(mode["accuracy"]);
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Escape(title)}</td><td class=\"n\">{accuracy * 100:F1}%</td><td class=\"n\">{JsonNumbers.Number(mode["interval95"]![0]) * 100:F1}–{JsonNumbers.Number(mode["interval95"]![1]) * 100:F1}%</td><td class=\"n\">{JsonNumbers.Number(mode["meanTokens"]):F1}</td><td class=\"n\">{JsonNumbers.Number(mode["medianTokens"]):F0}</td><td class=\"n\">{JsonNumbers.Number(mode["unfinished"]) * 100:F1}%</td><td class=\"share\"><span class=\"bar\" style=\"width:{accuracy * 100:F1}%\"></span></td></tr>\n");
        }
    }

    private static void AddTraining(StringBuilder html, JsonObject report)
    {
        foreach ((string adapter, JsonNode? training) in report["training"]!.AsObject())
        {
            double[] loss = training!["sft"]!["loss"].Numbers();
            html.Append(CultureInfo.InvariantCulture, $"<h2>Training of {Escape(adapter)}</h2>\n<p>{Text(training["sft"]!["steps"])} steps on {Text(training["sft"]!["examples"])} examples, rank {Text(training["rank"])}, {(training["masked"]!.GetValue<bool>() ? "masked LoRA" : "LoRA on all tokens")}.");
            if (loss.Length < 2)
            {
                html.Append("</p>\n");
                continue;
            }

            double top = Math.Max(loss.Max(), 1e-9);
            html.Append(CultureInfo.InvariantCulture, $" Loss a token: {loss[0]:F3} in the first step, {loss[^1]:F3} in the last.</p>\n<svg viewBox=\"0 0 {loss.Length - 1} 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"training loss by step\"><polyline points=\"");
            for (int i = 0; i < loss.Length; i++)
            {
                html.Append(CultureInfo.InvariantCulture, $"{i},{97 - (loss[i] / top * 94):F2} ");
            }

            html.Append("\"/></svg>\n");
        }
    }

    private static void AddParity(StringBuilder html, JsonObject report)
    {
        if (report["parity"] is not JsonObject parity)
        {
            return;
        }

        html.Append("<h2>Exported graphs</h2>\n<p>Each graph was run before it was shipped: in several ways against itself, and on real prompts against Torch (the reference). Differences are shares of the logits' root mean square.</p>\n<div class=\"wide\"><table>\n<tr><th>mode</th><th>comparison</th><th class=\"n\">positions</th><th class=\"n\">difference (RMS)</th><th class=\"n\">allowed</th><th class=\"n\">of a single logit</th><th class=\"n\">same likeliest token</th></tr>\n");
        foreach ((string mode, JsonNode? checks) in parity)
        {
            foreach ((string name, JsonNode? check) in checks!.AsObject())
            {
                html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Escape(mode)}</td><td>{Escape(name)}</td><td class=\"n\">{Text(check!["positions"])}</td><td class=\"n\">{JsonNumbers.Number(check["difference"]):0.00000}</td><td class=\"n\">{JsonNumbers.Number(check["bound"]):0.####}</td><td class=\"n\">{JsonNumbers.Number(check["greatestDifference"]):0.00000}</td><td class=\"n\">{JsonNumbers.Number(check["argmaxAgreement"]) * 100:F1}%</td></tr>\n");
            }
        }

        html.Append("</table></div>\n");
    }

    private static void AddStages(StringBuilder html, JsonObject report)
    {
        html.Append("<h2>Stages</h2>\n<div class=\"wide\"><table>\n<tr><th>stage</th><th class=\"n\">seconds</th><th class=\"n\">peak memory, MiB</th><th>this run</th></tr>\n");
        foreach (JsonNode? stage in report["stages"]!.AsArray())
        {
            string title = stage!["adapter"] is null ? Text(stage["name"]) : $"{Text(stage["name"])} {Text(stage["adapter"])}";
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{title}</td><td class=\"n\">{JsonNumbers.Number(stage["seconds"]):F1}</td><td class=\"n\">{JsonNumbers.Number(stage["peakRssMb"]):F0}</td><td>{(stage["cached"]!.GetValue<bool>() ? "from the store" : "made")}</td></tr>\n");
        }

        html.Append("</table></div>\n");
    }

    private static void AddSizes(StringBuilder html, JsonObject report)
    {
        JsonNode sizes = report["sizes"]!;
        html.Append(CultureInfo.InvariantCulture, $"<h2>Size</h2>\n<p>Bundle {JsonNumbers.Number(sizes["bundleBytes"]) / 1e6:F2} MB, of which base weights {JsonNumbers.Number(sizes["weightBytes"]) / 1e6:F2} MB");
        foreach ((string adapter, JsonNode? bytes) in sizes["adapterBytes"]!.AsObject())
        {
            html.Append(CultureInfo.InvariantCulture, $", adapter {Escape(adapter)} {JsonNumbers.Number(bytes) / 1e6:F2} MB");
        }

        html.Append(".</p>\n");
    }

    private static void AddTraces(StringBuilder html, JsonObject report)
    {
        if (report["examples"] is not JsonArray { Count: > 0 } examples)
        {
            return;
        }

        html.Append("<h2>Examples</h2>\n");
        foreach (JsonNode? example in examples)
        {
            html.Append(CultureInfo.InvariantCulture, $"<div class=\"trace\"><p><strong>{Text(example!["question"])}</strong></p>\n<p class=\"soft\">expected: {Text(example["expected"])}</p>\n");
            foreach ((string mode, JsonNode? answer) in example["answers"]!.AsObject())
            {
                bool right = answer!["right"]!.GetValue<bool>();
                string reasoning = answer["reasoning"] is JsonNode text ? Text(text).Trim() + " " : "";
                html.Append(CultureInfo.InvariantCulture, $"<p><span class=\"soft\">{Escape(mode)}, {Text(answer["tokens"])} tokens:</span> {reasoning}<span class=\"{(right ? "right" : "wrong")}\">{Text(answer["text"])} {(right ? "✓" : "✗")}</span></p>\n");
            }

            html.Append("</div>\n");
        }
    }

    private static string Text(JsonNode? node) => Escape(node?.ToString() ?? "");

    private static string Escape(string text) => HtmlEncoder.Default.Encode(text);
}
