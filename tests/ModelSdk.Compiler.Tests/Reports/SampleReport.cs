using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Tests.Reports;

/// <summary>A report.json as a compile with every stage writes it, with made-up numbers, for tests of the page.</summary>
internal static class SampleReport
{
    /// <summary>Text as an evil or careless data file might hold it.</summary>
    public const string Hostile = "<script>alert(\"1\")</script> & 'quotes' <img src=x onerror=alert(2)> </style></title>";

    public static JsonObject Full()
    {
        Random random = new(7);
        double Noise(double size) => (random.NextDouble() - 0.5) * size;
        JsonArray Curve(int count, Func<double, double> value, double noise) => new([.. Enumerable.Range(0, count).Select(i => (JsonNode)Math.Round(Math.Max(0, value(i / (count - 1.0)) + Noise(noise)), 5))]);
        int[] edges = [.. Enumerable.Range(0, 21).Select(i => i * 16)];
        JsonObject Distribution(double centre, double width) => new()
        {
            ["edges"] = new JsonArray([.. edges.Select(e => (JsonNode)e)]),
            ["counts"] = new JsonArray([.. edges.SkipLast(1).Select(e => (JsonNode)(int)(180 * Math.Exp(-Math.Pow((e + 8 - centre) / width, 2))))]),
        };
        JsonArray Hard() => new([.. new (int, double, double)[] { (32, .08, .38), (48, .2, .78), (64, .31, .95), (96, .53, .985), (128, .66, .98), (192, .91, .983), (400, .978, .981) }
            .Select(h => (JsonNode)new JsonObject { ["adapter"] = "arithmetic", ["budget"] = h.Item1, ["sft"] = h.Item2, ["budgetForced"] = h.Item3, ["sftInterval95"] = Interval(h.Item2), ["budgetForcedInterval95"] = Interval(h.Item3) })]);
        JsonArray SwitcherCurve() => new([.. Enumerable.Range(0, 21).Select(i =>
        {
            double routed = 1 - (i / 20.0);
            return (JsonNode)new JsonObject { ["threshold"] = Math.Round(i / 20.0, 3), ["routedShare"] = Math.Round(routed, 3), ["accuracy"] = Math.Round(0.52 + (0.46 * (1 - Math.Pow(1 - routed, 2.4))), 4), ["meanTokens"] = Math.Round(4 + (routed * 82), 2) };
        })]);
        return new JsonObject
        {
            ["formatVersion"] = 1,
            ["name"] = "Tutor",
            ["digest"] = "sha256:3f1c6d2a9b8e4f705162738495a6b7c8d9eaf0b1c2d3e4f5061728394a5b6c7d",
            ["inputs"] = "sha256:00",
            ["compiler"] = "0.1.0",
            ["machine"] = new JsonObject { ["rid"] = "linux-x64", ["os"] = "Linux", ["processors"] = 2 },
            ["model"] = new JsonObject { ["type"] = "qwen2", ["parameters"] = 1_412_096, ["context"] = 1024, ["weights"] = "int4" },
            ["stages"] = Stages(),
            ["baseline"] = new JsonObject { ["seed"] = 1, ["evaluationExamples"] = 600, ["trainingExamples"] = new JsonObject { ["arithmetic"] = 6000 } },
            ["training"] = new JsonObject
            {
                ["arithmetic"] = new JsonObject
                {
                    ["masked"] = true,
                    ["rank"] = 16,
                    ["sft"] = new JsonObject { ["steps"] = 100, ["examples"] = 6000, ["loss"] = Curve(100, t => 0.04 + (1.35 * Math.Exp(-7 * t)), 0.04) },
                    ["budget"] = new JsonObject
                    {
                        ["reward"] = Curve(60, t => 0.93 - (0.5 * Math.Exp(-5 * t)), 0.08),
                        ["accuracy"] = Curve(60, t => 0.96 - (0.05 * Math.Exp(-3 * t)), 0.03),
                        ["meanTokens"] = Curve(60, t => 72 + (131 * Math.Exp(-5 * t)), 12),
                        ["withinBudget"] = Curve(60, t => 0.98 - (0.5 * Math.Exp(-6 * t)), 0.04),
                        ["kl"] = Curve(60, t => 0.08 * (1 - Math.Exp(-4 * t)), 0.01),
                        ["rolloutTokensPerSecond"] = 21_350.0,
                        ["trainingTokensPerSecond"] = 9_420.0,
                        ["logProbDisagreement"] = 0.0061,
                    },
                },
            },
            ["parity"] = new JsonObject
            {
                ["base"] = new JsonObject { ["batch against single"] = Check(837, 0.000004, 0.001, 0.00002, 1), ["Torch"] = Check(837, 0.0118, 0.1, 0.21, 0.999) },
                ["arithmetic"] = new JsonObject { ["Torch"] = Check(640, 0.0131, 0.1, 0.18, 0.998) },
            },
            ["sizes"] = new JsonObject { ["bundleBytes"] = 1_353_000, ["weightBytes"] = 923_000, ["adapterBytes"] = new JsonObject { ["arithmetic"] = 231_000 } },
            ["evaluation"] = new JsonObject
            {
                ["base"] = Mode(.1, 4.1, 4, .0),
                ["adapters"] = new JsonObject
                {
                    ["arithmetic"] = new JsonObject
                    {
                        ["sft"] = Mode(.978, 203.4, 204, .003),
                        ["budget"] = Mode(.973, 121.9, 118, .002),
                        ["deployed"] = Mode(.973, 121.9, 118, .002),
                        ["sameAnswers"] = .9983,
                        ["budgetStated"] = new JsonObject
                        {
                            ["budget"] = 128,
                            ["sft"] = Mode(.977, 202.8, 203, .003, .09),
                            ["budgetForced"] = Mode(.981, 78.2, 77, .0, .992),
                            ["sampled"] = new JsonObject
                            {
                                ["temperature"] = .7,
                                ["seeds"] = 3,
                                ["sft"] = new JsonObject { ["accuracy"] = .962, ["spread"] = .006, ["meanTokens"] = 204.9, ["withinBudget"] = .11 },
                                ["budgetForced"] = new JsonObject { ["accuracy"] = .968, ["spread"] = .004, ["meanTokens"] = 79.4, ["withinBudget"] = .987 },
                            },
                        },
                    },
                },
                ["deployed"] = Mode(.973, 121.9, 118, .002),
                ["deployedMode"] = "arithmetic",
                ["maxTokens"] = 400,
                ["decoding"] = "greedy, no budget stated",
            },
            ["lengthReduction"] = new JsonObject { ["mean"] = 2.593, ["max"] = 7.41, ["budget"] = 128 },
            ["lengths"] = new JsonObject { ["sft"] = Distribution(203, 62), ["budget"] = Distribution(78, 26) },
            ["hardBudgets"] = Hard(),
            ["switcher"] = new JsonObject
            {
                ["auc"] = .972,
                ["lengthAuc"] = .513,
                ["examples"] = 500,
                ["chosen"] = new JsonObject { ["threshold"] = .5, ["routedShare"] = .51, ["accuracy"] = .951, ["meanTokens"] = 45.8 },
                ["frugal"] = new JsonObject { ["threshold"] = .61, ["routedShare"] = .47, ["accuracy"] = .957, ["meanTokens"] = 42.5 },
                ["curve"] = SwitcherCurve(),
                ["base"] = Mode(.52, 4, 4, 0),
                ["reasoning"] = Mode(.98, 86, 84, 0),
            },
            ["verifier"] = new JsonObject { ["adapter"] = "arithmetic", ["auc"] = .817, ["examples"] = 12_000 },
            ["parallel"] = new JsonArray(
                Vote(1, .742, .742, .742, 91),
                Vote(2, .742, .741, .793, 183),
                Vote(4, .742, .812, .839, 366),
                Vote(8, .742, .846, .861, 733)),
            ["earlyStopping"] = new JsonArray(
                Policy("none", .861, 733, 0),
                Policy("stop when decided", .861, 561, .235),
                Policy("stop at 95% posterior", .859, 437, .404),
                Policy("drop below 0.2", .858, 602, .179),
                Policy("stable probes", .86, 498, .321),
                Policy("all together", .857, 331, .548)),
            ["quantization"] = new JsonArray(new JsonObject { ["config"] = "int4 block 32, embeddings int8", ["accuracy"] = .973, ["bits"] = 5.2 }),
            ["gates"] = new JsonArray(Gate("minAccuracy", .95, .973, true), Gate("maxMeanTokens", 140, 121.9, true), Gate("minLengthReduction", 2.4, 2.593, true), Gate("minSwitcherAuc", .95, .972, true), Gate("minVerifierAuc", .85, .817, false)),
            ["examples"] = Examples(),
        };
    }

    /// <summary>A compile without evaluation data: nothing measured.</summary>
    public static JsonObject Unmeasured()
    {
        JsonObject report = Full();
        foreach (string name in (string[])["evaluation", "lengthReduction", "lengths", "hardBudgets", "switcher", "verifier", "parallel", "earlyStopping", "quantization", "gates", "examples"])
        {
            report.Remove(name);
        }

        report["training"]!["arithmetic"]!.AsObject().Remove("budget");
        return report;
    }

    private static JsonArray Interval(double share)
    {
        double half = 1.96 * Math.Sqrt(share * (1 - share) / 600);
        return new JsonArray(Math.Max(0, share - half), Math.Min(1, share + half));
    }

    private static JsonObject Mode(double accuracy, double mean, double median, double unfinished, double? within = null)
    {
        JsonObject mode = new() { ["accuracy"] = accuracy, ["meanTokens"] = mean, ["medianTokens"] = median, ["examples"] = 600, ["interval95"] = Interval(accuracy), ["unfinished"] = unfinished };
        if (within is not null)
        {
            mode["withinBudget"] = within;
        }

        return mode;
    }

    private static JsonObject Check(int positions, double difference, double bound, double greatest, double agreement) =>
        new() { ["positions"] = positions, ["difference"] = difference, ["bound"] = bound, ["greatestDifference"] = greatest, ["argmaxAgreement"] = agreement };

    private static JsonObject Vote(int streams, double single, double majority, double weighted, double tokens) =>
        new() { ["adapter"] = "arithmetic", ["streams"] = streams, ["single"] = single, ["majority"] = majority, ["weighted"] = weighted, ["meanTokens"] = tokens, ["spread"] = new JsonObject { ["single"] = .008, ["majority"] = .007, ["weighted"] = .006 } };

    private static JsonObject Policy(string name, double accuracy, double tokens, double saved) =>
        new() { ["adapter"] = "arithmetic", ["policy"] = name, ["streams"] = 8, ["accuracy"] = accuracy, ["meanTokens"] = tokens, ["savedShare"] = saved };

    private static JsonObject Gate(string name, double threshold, double measured, bool passed) =>
        new() { ["name"] = name, ["threshold"] = threshold, ["measured"] = measured, ["passed"] = passed };

    private static JsonArray Stages() => new([.. new (string, string?, double, bool)[]
        {
            ("resolve", null, .4, false), ("quantize", null, 1.2, true), ("sft", "arithmetic", 61.3, true), ("budget", "arithmetic", 118.7, false), ("switcher", null, 6.2, false),
            ("verifier", "arithmetic", 34.8, false), ("export", null, 5.1, false), ("evaluate", null, 141.9, false), ("bundle", null, .3, false),
        }.Select(s =>
        {
            JsonObject stage = new() { ["name"] = s.Item1 };
            if (s.Item2 is not null)
            {
                stage["adapter"] = s.Item2;
            }

            stage["seconds"] = s.Item3;
            stage["cached"] = s.Item4;
            stage["peakRssMb"] = 300 + (s.Item3 * 4);
            stage["key"] = "00";
            return (JsonNode)stage;
        })]);

    private static JsonArray Examples()
    {
        static JsonObject Answer(string text, string? reasoning, int tokens, bool right) => new() { ["text"] = text, ["reasoning"] = reasoning, ["tokens"] = tokens, ["right"] = right };
        return new JsonArray(
            new JsonObject
            {
                ["question"] = "Ann has 13 apples. Ben has 5 more than Ann. Cat has twice as many as Ben. Dan has 30% fewer... no: half as many as Cat. How many apples does Dan have?",
                ["expected"] = "18",
                ["answers"] = new JsonObject
                {
                    ["arithmetic"] = Answer("18", "Ann = 13. Ben = 13 + 5 = 18. Cat = 18 * 2 = 36. Dan = 36 / 2 = 18.", 49, true),
                    ["arithmetic.sft"] = Answer("18", "Ann = 13. Ben = 13 + 5 = 18. Cat = 18 * 2 = 36. Dan = 36 / 2 = 18. Check: Ann = 13. Ben = 13 + 5 = 18. Cat = 18 * 2 = 36. Dan = 36 / 2 = 18. Check: Ann = 13. Ben = 13 + 5 = 18. Cat = 18 * 2 = 36. Dan = 36 / 2 = 18. All steps again ok.", 166, true),
                    ["base"] = Answer("26", null, 4, false),
                },
            },
            new JsonObject
            {
                ["question"] = Hostile,
                ["expected"] = "<b>7</b>",
                ["answers"] = new JsonObject
                {
                    ["base"] = Answer("<i>9</i>", null, 4, false),
                    ["arithmetic.sft"] = Answer("7", "Eve = 7 <script>alert(3)</script>", 31, true),
                    ["arithmetic"] = Answer("", "Eve = " + string.Concat(Enumerable.Repeat("averylongwordwithoutanyspace", 8)), 128, false),
                },
            });
    }
}
