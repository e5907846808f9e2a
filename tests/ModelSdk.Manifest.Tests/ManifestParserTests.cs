using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

public class ManifestParserTests
{
    [Fact]
    public void Every_property_is_read()
    {
        ModelManifest manifest = Samples.Parse(Samples.Full);

        Assert.Equal("MathTutor", manifest.Name);
        Assert.Equal("MathTutorModel", manifest.ClientName);
        Assert.Equal("mathtutor", manifest.BundleFolder);
        Assert.Equal(new BaseReference { Hub = "Qwen/Qwen2.5-0.5B-Instruct", Revision = "7ae557604adf67be50417f59c2c2f167def9a775" }, manifest.Base);
        Assert.Equal(1024, manifest.Context);
        Assert.Equal(7, manifest.Seed);
        Assert.False(manifest.Genai);
        Assert.Equal(
            new PromptSettings { System = "You solve problems.", Budget = "({budget} tokens)", ThinkOpen = "<r>", ThinkClose = "</r>", ForceAnswer = "…</r>\nSo: " },
            manifest.Prompt);
        Assert.Equal(
            new QuantizationSettings
            {
                Weights = WeightFormat.Int8,
                Block = 128,
                Embeddings = WeightFormat.Int4,
                KeyValueCache = CacheFormat.Int8,
                Quality = QuantizationQuality.Best,
                Calibration = "data/traces.jsonl",
            },
            manifest.Quantization);
        Assert.Equal(
            new AdapterSettings
            {
                Name = "arithmetic",
                Identifier = "Arithmetic",
                Train = "data/train.jsonl",
                Rank = 8,
                Alpha = 4.5,
                Dropout = 0.1,
                Targets = new(["q_proj", "v_proj"]),
                Masked = false,
                Sft = new SftSettings { Steps = 140, Epochs = null, BatchSize = 32, LearningRate = 3e-3, Warmup = 0.2, WeightDecay = 0.01, MaxGradNorm = 0.5, CheckpointEverySteps = 10 },
                Budget = new BudgetForcingSettings
                {
                    Data = "data/questions.jsonl",
                    Steps = 40,
                    Prompts = 16,
                    Samples = 4,
                    Temperature = 1,
                    LearningRate = 1e-3,
                    Warmup = 0.1,
                    MaxGradNorm = 2,
                    WeightDecay = 0.01,
                    Budgets = new([64, 96, 128, 192]),
                    StatedShare = 0.7,
                    Margin = 0.5,
                    Floor = 0.1,
                    Length = CountedLength.Think,
                    Kl = 1e-4,
                    KlReference = KlReference.Base,
                    Clip = 0.3,
                    ClipHigh = 0.28,
                    Advantage = AdvantageScale.Batch,
                    Resample = true,
                    Tighten = 0.5,
                    Truncated = TruncatedCompletions.Mask,
                    MaxTokens = 400,
                    CheckpointEverySteps = 3,
                },
                Verifier = new VerifierSettings
                {
                    Data = "data/verify.jsonl",
                    Questions = 100,
                    Samples = 8,
                    Temperature = 1,
                    Holdout = 0.1,
                    Prompt = "Right?\n",
                    Lora = true,
                    Confidence = true,
                    Steps = 50,
                    BatchSize = 32,
                    LearningRate = 1e-2,
                },
            },
            manifest.Adapters[0]);
        Assert.Equal(
            new AdapterSettings { Name = "long form", Identifier = "LongForm", Train = "data/long.jsonl", Rank = 64, Alpha = 128, Sft = new SftSettings { Epochs = 2.5 } },
            manifest.Adapters[1]);
        Assert.Equal(new AdapterSettings { Name = "bought", Identifier = "Bought", Import = "adapters/bought" }, manifest.Adapters[2]);
        Assert.Equal(
            new SwitcherSettings
            {
                Train = "data/modes.jsonl",
                Hidden = 16,
                Dropout = 0.1,
                Noise = 0.25,
                Chunk = 64,
                Smoothing = 0.25,
                Steps = 100,
                BatchSize = 32,
                LearningRate = 1e-2,
                WeightDecay = 0.1,
                Threshold = 0.4,
            },
            manifest.Switcher);
        Assert.Equal(ModelManifest.AutoMode, manifest.DefaultMode);
        Assert.Equal(
            [new BudgetSettings { Name = "short", Identifier = "Short", Tokens = 96 }, new BudgetSettings { Name = "8k", Identifier = "_8k", Tokens = 800, Streams = 8 }],
            manifest.Budgets);
        Assert.Equal(AnswerType.Choice, manifest.Answer.Type);
        Assert.Equal([new ChoiceSettings { Text = "yes", Identifier = "Yes" }, new ChoiceSettings { Text = "no", Identifier = "No" }], manifest.Answer.Choices);
        Assert.Equal(new GraderSettings { Command = new(["python3", "grade.py", ""]), TimeoutSeconds = 5 }, manifest.Grader);
        Assert.Equal(4, manifest.AnswerTokens);
        Assert.Equal(
            new EvaluationSettings
            {
                Data = "data/test.jsonl",
                MaxExamples = 100,
                MaxTokens = 512,
                Budget = 128,
                Temperature = 1,
                Seeds = 5,
                HardBudgets = new([32, 64]),
                Streams = new([1, 2, 8]),
                StreamData = "data/hard.jsonl",
                StreamTemperature = 0.9,
                SwitcherData = "data/mixed.jsonl",
                Gates = new GateSettings { MinAccuracy = 0.9, MaxMeanTokens = 60.5, MinLengthReduction = 2.4, MinWithinBudget = 0.95, MinSwitcherAuc = 0.9, MinVerifierAuc = 0.7 },
            },
            manifest.Evaluation);
        Assert.Equal([new TargetSettings { Rid = "linux-x64", MemoryMB = 500, DiskMB = 100 }, new TargetSettings { Rid = "osx-arm64" }], manifest.Targets);
    }

    [Fact]
    public void A_manifest_of_a_base_alone_has_every_default() =>
        Assert.Equal(new ModelManifest { Name = "Tutor", Base = new BaseReference { Folder = "base" } }, Samples.Parse(Samples.Minimal));

    [Fact]
    public void Settings_that_are_asked_for_without_values_have_every_default()
    {
        ModelManifest manifest = Samples.Parse("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, 512] }, "verifier": {} } }, "switcher": { "train": "s" }, "evaluation": { "data": "d", "gates": {} } }""");

        Assert.Equal(new BudgetForcingSettings { Budgets = new([64, 512]) }, manifest.Adapters[0].Budget);
        Assert.Equal(new VerifierSettings(), manifest.Adapters[0].Verifier);
        Assert.Equal(new SwitcherSettings { Train = "s" }, manifest.Switcher);
        Assert.Equal(new EvaluationSettings { Data = "d" }, manifest.Evaluation);
        Assert.Equal("a", manifest.DefaultMode);
        Assert.Null(Samples.Parse(Samples.All[2]).Adapters[0].Budget);
        Assert.Null(Samples.Parse(Samples.All[2]).Adapters[0].Verifier);
    }

    [Fact]
    public void Data_that_is_not_named_is_that_of_the_stage_before()
    {
        const string Adapter = """{ "base": "b", "adapters": { "a": { "train": "t" REST } } }""";
        AdapterSettings With(string rest) => Samples.Parse(Adapter.Replace("REST", rest, StringComparison.Ordinal)).Adapters[0];

        Assert.Equal((null, null), (With("").BudgetData, With("").VerifierData));
        Assert.Equal(("t", null), (With(""", "budget": { "budgets": [8] }""").BudgetData, With(""", "budget": { "budgets": [8] }""").VerifierData));
        Assert.Equal("t", With(""", "verifier": {}""").VerifierData);
        AdapterSettings both = With(""", "budget": { "data": "q", "budgets": [8] }, "verifier": {}""");
        Assert.Equal(("q", "q"), (both.BudgetData, both.VerifierData));
        Assert.Equal("v", With(""", "budget": { "data": "q", "budgets": [8] }, "verifier": { "data": "v" }""").VerifierData);
    }

    [Theory]
    [InlineData("""{ "base": "b" }""", null)]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d" } }""", null)]
    [InlineData("""{ "base": "b", "budgets": { "x": 5, "y": 4 } }""", 5)]
    [InlineData("""{ "base": "b", "budgets": { "x": 5 }, "evaluation": { "data": "d", "budget": 7 } }""", 7)]
    public void The_budget_that_evaluation_states_is_its_own_or_the_first(string text, int? expected) => Assert.Equal(expected, Samples.Parse(text).StatedBudget);

    [Theory]
    [InlineData("add \"switcher\"", """{ "base": "b", "default": [|"auto"|] }""")]
    [InlineData("add one under 'adapters'", """{ "base": "b", "switcher": [|{ "train": "s" }|] }""")]
    [InlineData("add 'switcher'", """{ "base": "b", "evaluation": { "data": "d", "switcherData": [|"m"|] } }""")]
    [InlineData("add 'streams'", """{ "base": "b", "evaluation": { "data": "d", "streamData": [|"m"|] } }""")]
    [InlineData("add 'budget' to the adapter", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "evaluation": { "data": "d", "budget": 9, "gates": { "minLengthReduction": [|2|] } } }""")]
    [InlineData("add 'budget' to the adapter", """{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [8] } }, "c": { "train": "t" } }, "default": "c", "evaluation": { "data": "d", "budget": 9, "gates": { "minLengthReduction": [|2|] } } }""")]
    [InlineData("add 'budget' to the evaluation", """{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [8] } } }, "evaluation": { "data": "d", "gates": { "minLengthReduction": [|2|] } } }""")]
    [InlineData("add 'budget' to the evaluation", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "evaluation": { "data": "d", "gates": { "minWithinBudget": [|0.9|] } } }""")]
    [InlineData("add one under 'adapters'", """{ "base": "b", "budgets": { "x": 5 }, "evaluation": { "data": "d", "gates": { "minWithinBudget": [|0.9|] } } }""")]
    [InlineData("add 'switcher' and 'switcherData'", """{ "base": "b", "evaluation": { "data": "d", "gates": { "minSwitcherAuc": [|0.9|] } } }""")]
    [InlineData("add 'switcherData'", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "s" }, "evaluation": { "data": "d", "gates": { "minSwitcherAuc": [|0.9|] } } }""")]
    [InlineData("add 'verifier'", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "evaluation": { "data": "d", "streams": [8], "gates": { "minVerifierAuc": [|0.7|] } } }""")]
    [InlineData("add 'streams'", """{ "base": "b", "adapters": { "a": { "train": "t", "verifier": {} } }, "evaluation": { "data": "d", "gates": { "minVerifierAuc": [|0.7|] } } }""")]
    [InlineData("give 'budget' its own", """{ "base": "b", "adapters": { "a": { "import": "p", "budget": [|{ "budgets": [8] }|] } } }""")]
    [InlineData("give 'verifier' its own", """{ "base": "b", "adapters": { "a": { "import": "p", "verifier": [|{}|] } } }""")]
    [InlineData("Give a file with 'calibration'", """{ "base": "b", "quantization": { "quality": [|"balanced"|] } }""")]
    [InlineData("Give a file with 'calibration'", """{ "base": "b", "adapters": { "a": { "import": "p" } }, "quantization": { "quality": [|"best"|] } }""")]
    [InlineData("read only with 'quality'", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "quantization": { "calibration": [|"c"|] } }""")]
    [InlineData("no use where 'weights' is", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "quantization": { "weights": "none", "quality": "best", "calibration": [|"c"|] } }""")]
    public void A_setting_that_needs_another_is_reported_with_what_to_add(string advice, string marked) =>
        Assert.Contains(advice, Marked.Reports("MDL1019", marked).Message, StringComparison.Ordinal);

    /// <summary>What a mistake makes unreadable is not reported as missing too.</summary>
    [Theory]
    [InlineData("MDL1008", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "s", "hidden": [|0|] }, "default": "auto" }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": [|true|], "default": "auto", "evaluation": { "data": "d", "switcherData": "m", "gates": { "minSwitcherAuc": 0.9 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": [|[]|], "switcher": { "train": "s" }, "budgets": { "x": 9 }, "evaluation": { "data": "d", "streams": [2], "gates": { "minWithinBudget": 0.9, "minLengthReduction": 2, "minVerifierAuc": 0.5 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": [|1|] }, "switcher": { "train": "s" }, "budgets": { "x": 9 }, "evaluation": { "data": "d", "gates": { "minWithinBudget": 0.9 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t", "budget": [|[64]|] } }, "evaluation": { "data": "d", "budget": 64, "gates": { "minLengthReduction": 2 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t", "verifier": [|true|] } }, "evaluation": { "data": "d", "streams": [2], "gates": { "minVerifierAuc": 0.5 } } }""")]
    [InlineData("MDL1008", """{ "base": "b", "adapters": { "a": { "train": "t", "verifier": {} } }, "evaluation": { "data": "d", "streams": [[|0|]], "streamData": "s", "gates": { "minVerifierAuc": 0.5 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "evaluation": { "data": "d", "budget": [|"x"|], "gates": { "minWithinBudget": 0.5 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "budgets": { "x": [|"x"|] }, "evaluation": { "data": "d", "gates": { "minWithinBudget": 0.5 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "s" }, "evaluation": { "data": "d", "switcherData": [|1|], "gates": { "minSwitcherAuc": 0.5 } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [2000], "maxTokens": [|"3k"|] } } } }""")]
    [InlineData("MDL1006", """{ "base": "b", "context": 512, "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "maxTokens": [|"3k"|] } } } }""")]
    public void A_mistake_brings_no_second_one(string code, string marked) => Marked.Reports(code, marked);

    [Fact]
    public void Manifests_of_one_text_are_equal_and_of_another_are_not()
    {
        Assert.Equal(Samples.Parse(Samples.Full), Samples.Parse("// elsewhere\n" + Samples.Full));
        Assert.Equal(Samples.Parse(Samples.Full).GetHashCode(), Samples.Parse(Samples.Full).GetHashCode());
        Assert.NotEqual(Samples.Parse(Samples.Full), Samples.Parse(Samples.Full.Replace("\"no\"", "\"nope\"", StringComparison.Ordinal)));
        Assert.NotEqual(Samples.Parse(Samples.Full), Samples.Parse(Samples.Full.Replace("800", "801", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("/app/tutor.model.json", "Tutor")]
    [InlineData("C:\\app\\math-tutor.MODEL.json", "MathTutor")]
    [InlineData("math_tutor.json", "MathTutor")]
    [InlineData("tutor", "Tutor")]
    [InlineData("base-model.model.json", "Base")]
    [InlineData("model.model.json", "Model")]
    [InlineData("7b.model.json", "_7b")]
    public void The_name_comes_from_the_file(string path, string name) => Assert.Equal(name, Samples.Parse(Samples.Minimal, path).Name);

    [Theory]
    [InlineData("""{ "base": "b", "adapters": {} }""", "base")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } } }""", "a")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" }, "c": { "train": "t" } } }""", "base")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "default": "base" }""", "base")]
    public void The_default_mode_is_the_only_adapter_or_the_base(string text, string mode) => Assert.Equal(mode, Samples.Parse(text).DefaultMode);

    [Fact]
    public void The_text_that_forces_an_answer_follows_the_closing_tag() =>
        Assert.Equal("[/]\n\n", Samples.Parse("""{ "base": "b", "prompt": { "thinkClose": "[/]" } }""").Prompt.ForceAnswer);

    [Fact]
    public void Whole_numbers_may_be_written_with_a_point_or_exponent() =>
        Assert.Equal((1000, 2), (Samples.Parse("""{ "base": "b", "seed": 1e3 }""").Seed, Samples.Parse("""{ "base": "b", "seed": 2.0 }""").Seed));

    [Theory]
    [InlineData("""{ "base": "b", [|"budgts"|]: {} }""", "budgets")]
    [InlineData("""{ "base": "b", [|"Seed"|]: 1 }""", "seed")]
    [InlineData("""{ "base": "b", [|"maxTokens"|]: 1 }""", null)]
    [InlineData("""{ "base": "b", "prompt": { [|"thinkopen"|]: "x" } }""", "thinkOpen")]
    [InlineData("""{ "base": "b", "quantization": { [|"bits"|]: 4 } }""", null)]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", [|"lr"|]: 1 } } }""", null)]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { [|"learningrate"|]: 1 } } } }""", "learningRate")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": 1, [|"token"|]: 1 } } }""", "tokens")]
    [InlineData("""{ "base": "b", "answer": { "type": "text", [|"choice"|]: [] } }""", "choices")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", [|"max"|]: 1 } }""", null)]
    [InlineData("""{ "base": "b", "targets": [ { "rid": "linux-x64", [|"diskMb"|]: 1 } ] }""", "diskMB")]
    [InlineData("""{ "base": { "hub": "a/b", "revision": "0000000000000000000000000000000000000000", [|"revison"|]: "x" } }""", "revision")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "t", [|"treshold"|]: 0.5 } }""", "threshold")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [8], [|"klreference"|]: "sft" } } } }""", "klReference")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { [|"loras"|]: true } } } }""", "lora")]
    [InlineData("""{ "base": "b", "grader": { "command": ["g"], [|"timeout"|]: 3 } }""", null)]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": { [|"minAcuracy"|]: 0.5 } } }""", "minAccuracy")]
    public void An_unknown_property_is_reported_at_its_name(string marked, string? suggestion)
    {
        string message = Marked.Reports("MDL1005", marked).Message;

        Assert.EndsWith(suggestion is null ? "." : $"did you mean '{suggestion}'?", message, StringComparison.Ordinal);
        if (suggestion is null) Assert.Contains("it has ", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[|[]|]")]
    [InlineData("[|1|]")]
    [InlineData("[|null|]")]
    [InlineData("""{ "base": [|1|] }""")]
    [InlineData("""{ "base": [|null|] }""")]
    [InlineData("""{ "base": "b", "name": [|1|] }""")]
    [InlineData("""{ "base": "b", "context": [|"512"|] }""")]
    [InlineData("""{ "base": "b", "context": [|512.5|] }""")]
    [InlineData("""{ "base": "b", "seed": [|null|] }""")]
    [InlineData("""{ "base": "b", "prompt": [|"x"|] }""")]
    [InlineData("""{ "base": "b", "prompt": { "system": [|[]|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "weights": [|4|] } }""")]
    [InlineData("""{ "base": "b", "adapters": [|[]|] }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": [|"t.jsonl"|] } }""")]
    [InlineData("""{ "base": "b", "adapters": [|[ "a" ]|], "default": "a" }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "masked": [|"yes"|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "targets": [|"q_proj"|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "targets": [ [|1|] ] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "alpha": [|true|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": [|140|] } } }""")]
    [InlineData("""{ "base": "b", "budgets": [|96|] }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": [|"96"|] } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": [|null|] } } }""")]
    [InlineData("""{ "base": "b", "answer": [|1|] }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": [|"yes"|] } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", "no", [|1|]] } }""")]
    [InlineData("""{ "base": "b", "evaluation": [|"test.jsonl"|] }""")]
    [InlineData("""{ "base": "b", "targets": [|{}|] }""")]
    [InlineData("""{ "base": "b", "targets": [ [|"linux-x64"|] ] }""")]
    [InlineData("""{ "base": "b", "switcher": [|"s.jsonl"|] }""")]
    [InlineData("""{ "base": "b", "switcher": [|null|] }""")]
    [InlineData("""{ "base": "b", "grader": [|["python3"]|] }""")]
    [InlineData("""{ "base": "b", "grader": { "command": [|"python3 g.py"|] } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": ["python3", [|1|]] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": [|64|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [|64|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, [|64.5|]] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, [|null|]] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "data": [|null|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "kl": [|null|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "clipHigh": [|"none"|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "truncated": [|true|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": [|true|] } } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": 5, "streams": [|"8"|] } } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "number", "tolerance": [|"1%"|] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "streams": [|8|] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": [|[]|] } }""")]
    public void A_value_of_the_wrong_type_is_reported_at_the_value(string marked) => Marked.Reports("MDL1006", marked);

    [Theory]
    [InlineData("""[|{|] }""")]
    [InlineData("""{ "base": [|{|] "hub": "a/b" } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": [|{|] } } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": [|{|] } } }""")]
    [InlineData("""{ "base": "b", "answer": [|"choice"|] }""")]
    [InlineData("""{ "base": "b", "answer": [|{|] } }""")]
    [InlineData("""{ "base": "b", "answer": [|{|] "type": "choice" } }""")]
    [InlineData("""{ "base": "b", "evaluation": [|{|] } }""")]
    [InlineData("""{ "base": "b", "targets": [ [|{|] } ] }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": [|{|] } }""")]
    [InlineData("""{ "base": "b", "grader": [|{|] "timeoutSeconds": 5 } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": [|{|] } } } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": [|{|] "streams": 8 } } }""")]
    public void A_missing_property_is_reported_where_its_object_begins(string marked) => Marked.Reports("MDL1007", marked);

    public static TheoryData<string> LongLists
    {
        get
        {
            string many = string.Join(",", Enumerable.Range(1, 1001));
            return
            [
                $$"""{ "base": "b", "context": 2000, "adapters": { "a": { "train": "t", "budget": { "budgets": [|[{{many}}]|], "maxTokens": 1500 } } } }""",
                $$"""{ "base": "b", "context": 2000, "evaluation": { "data": "d", "hardBudgets": [|[{{many}}]|] } }""",
                $$"""{ "base": "b", "grader": { "command": [|[{{many}}]|] } }""",
            ];
        }
    }

    [Theory]
    [InlineData("""{ "base": "b", "context": [|31|] }""")]
    [InlineData("""{ "base": "b", "context": [|1048577|] }""")]
    [InlineData("""{ "base": "b", "seed": [|-1|] }""")]
    [InlineData("""{ "base": "b", "seed": [|2147483648|] }""")]
    [InlineData("""{ "base": "b", "seed": [|1e400|] }""")]
    [InlineData("""{ "base": "b", "seed": [|-99999999999999999999999999999999999999|] }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "rank": [|0|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "rank": [|1025|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "alpha": [|0|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "alpha": [|1e999|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "dropout": [|1|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "dropout": [|-0.1|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "steps": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "epochs": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "learningRate": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "warmup": [|1.01|] } } } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": [|0|] } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": [|-5|] } } }""")]
    [InlineData("""{ "base": "b", "answerTokens": [|0|] }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "maxExamples": [|0|] } }""")]
    [InlineData("""{ "base": "b", "targets": [ { "rid": "linux-x64", "memoryMB": [|0|] } ] }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": [|["yes"]|] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "samples": [|1|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "temperature": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, [|0|]] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "statedShare": [|1.5|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "margin": [|-0.1|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "floor": [|1|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "clip": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "clipHigh": [|1e400|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "tighten": [|0|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "kl": [|-1e-3|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { "holdout": [|1|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { "questions": [|1|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "s", "threshold": [|1.1|] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "switcher": { "train": "s", "smoothing": [|0|] } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": 5, "streams": [|65|] } } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": 5, "streams": [|0|] } } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "number", "tolerance": [|2|] } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": ["g"], "timeoutSeconds": [|0|] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "seeds": [|0|] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "streams": [1, [|65|]] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "hardBudgets": [[|0|]] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": { "minAccuracy": [|96|] } } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": { "maxMeanTokens": [|0|] } } }""")]
    [InlineData("""{ "base": "b", "quantization": { "bitsPerWeight": [|1.9|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "bitsPerWeight": [|9.5|] } }""")]
    [MemberData(nameof(LongLists))]
    public void A_number_out_of_range_is_reported_at_the_number(string marked) => Marked.Reports("MDL1008", marked);

    [Theory]
    [InlineData("""{ "base": [|""|] }""")]
    [InlineData("""{ "base": [|"a\u0000b"|] }""")]
    [InlineData("""{ "base": "b", "name": [|" "|] }""")]
    [InlineData("""{ "base": "b", "prompt": { "thinkOpen": [|""|] } }""")]
    [InlineData("""{ "base": "b", "prompt": { "thinkOpen": [|"</think>"|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "weights": [|"int3"|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "block": [|48|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "block": [|512|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "embeddings": [|"none"|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "keyValueCache": [|"int2"|] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "quality": [|"good"|] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "quantization": { "quality": "best", "calibration": [|""|] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": [|" "|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "targets": [|[]|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "targets": [ [|"q"|] ] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "targets": [ "q_proj", [|"q_proj"|] ] } } }""")]
    [InlineData("""{ "base": "b", "answer": [|"int"|] }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", "no", [|""|]] } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", [|" no"|]] } }""")]
    [InlineData("""{ "base": "b", "targets": [ { "rid": [|"Linux x64"|] } ] }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [|[]|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, [|64|]] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [|[64, 257]|], "maxTokens": 256 } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "klReference": [|"SFT"|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "length": [|"answer"|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { "prompt": [|" \n"|] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { "data": [|"a\u0007"|] } } } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": [|[]|] } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": [[|" "|], "x"] } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": ["x", [|"a\u0000"|]] } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "streams": [2, [|2|]] } }""")]
    public void A_value_that_is_not_allowed_is_reported_at_the_value(string marked) => Marked.Reports("MDL1009", marked);

    [Fact]
    public void A_misspelt_value_brings_the_nearest() =>
        Assert.EndsWith("did you mean \"integer\"?", Marked.Reports("MDL1009", """{ "base": "b", "answer": [|"intger"|] }""").Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "base": "b", "name": [|"+"|] }""")]
    [InlineData("""{ "base": "b", "adapters": { [|""|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"../up"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"a/b"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"a."|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "budgets": { [|"-"|]: 1 } }""")]
    [InlineData("""{ "base": "b", "budgets": { [|"a\nb"|]: 1 } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", "no", [|"?!"|]] } }""")]
    public void A_name_that_cannot_be_used_is_reported_at_the_name(string marked) => Marked.Reports("MDL1010", marked);

    [Fact]
    public void A_name_that_is_too_long_is_refused() =>
        Marked.Reports("MDL1010", $$"""{ "base": "b", "budgets": { [|"{{new string('x', 129)}}"|]: 1 } }""");

    [Fact]
    public void A_file_name_that_gives_no_name_is_reported_at_the_start() =>
        Assert.Contains("(of the file)", Marked.Reports("MDL1010", """[|{|] "base": "b" }""", "/app/+.model.json").Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "base": "b", "budgets": { "a-b": 1, [|"aB"|]: 2 } }""")]
    [InlineData("""{ "base": "b", "budgets": { "short": 1, [|"SHORT"|]: 2 } }""")]
    [InlineData("""{ "base": "b", "adapters": { "x y": { "train": "t" }, [|"x_y"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", [|"Yes"|]] } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice", "choices": ["yes", "no", [|"yes"|]] } }""")]
    [InlineData("""{ "base": "b", "targets": [ { "rid": "linux-x64" }, { "rid": [|"linux-x64"|] } ] }""")]
    public void Names_that_become_the_same_are_reported_at_the_second(string marked) => Marked.Reports("MDL1011", marked);

    [Theory]
    [InlineData("""{ "base": "b", "adapters": { [|"base"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"auto"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"con"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { [|"Lpt1.x"|]: { "train": "t" } } }""")]
    [InlineData("""{ "base": "b", "budgets": { [|"get-type"|]: 1 } }""")]
    [InlineData("""{ "base": "b", "budgets": { [|"all"|]: 1 } }""")]
    public void A_reserved_name_is_reported_at_the_name(string marked) => Marked.Reports("MDL1012", marked);

    [Theory]
    [InlineData("""{ "base": "b", "context": 512, "budgets": { "a": [|481|] } }""")]
    [InlineData("""{ "base": "b", "context": 512, "budgets": { "a": [|{ "tokens": 512 }|] } }""")]
    [InlineData("""{ "base": "b", "context": 512, "answerTokens": 100, "budgets": { "a": [|400|] } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": [|4096|] } }""")]
    [InlineData("""{ "base": "b", "context": 512, "evaluation": { "data": "d", "maxTokens": [|500|] } }""")]
    [InlineData("""{ "base": "b", "context": 128, "evaluation": [|{ "data": "d" }|] }""")]
    [InlineData("""{ "base": "b", "context": 512, "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "maxTokens": [|481|] } } } }""")]
    [InlineData("""{ "base": "b", "context": 512, "adapters": { "a": { "train": "t", "budget": [|{ "budgets": [64] }|] } } }""")]
    [InlineData("""{ "base": "b", "context": 512, "evaluation": { "data": "d", "budget": [|481|] } }""")]
    [InlineData("""{ "base": "b", "context": 512, "evaluation": { "data": "d", "hardBudgets": [|[32, 481]|] } }""")]
    public void A_budget_that_leaves_no_room_for_a_prompt_is_reported_at_the_budget(string marked) => Marked.Reports("MDL1013", marked);

    [Fact]
    public void The_largest_budget_that_fits_is_accepted_and_the_message_names_it()
    {
        Samples.Parse("""{ "base": "b", "context": 512, "budgets": { "a": 480 } }""");
        Assert.Contains("At most 480 fit", Marked.Reports("MDL1013", """{ "base": "b", "context": 512, "budgets": { "a": [|481|] } }""").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "base": "b", "default": [|"x"|] }""")]
    [InlineData("""{ "base": "b", "adapters": { "arithmetic": { "train": "t" } }, "default": [|"aritmetic"|] }""")]
    public void An_unknown_default_mode_is_reported_at_its_value(string marked) => Marked.Reports("MDL1014", marked);

    [Theory]
    [InlineData("""{ "base": "b", "prompt": { "budget": [|"Be brief."|] } }""")]
    [InlineData("""{ "base": "b", "prompt": { "forceAnswer": [|"So: "|] } }""")]
    [InlineData("""{ "base": "b", "prompt": { "thinkClose": "[/]", "forceAnswer": [|"</think>"|] } }""")]
    public void A_template_without_its_placeholder_is_reported_at_its_value(string marked) => Marked.Reports("MDL1015", marked);

    [Theory]
    [InlineData("take 3.", """{ "base": "b", "quantization": { "bitsPerWeight": [|2.9|] } }""")]
    [InlineData("take 2.25.", """{ "base": "b", "quantization": { "bitsPerWeight": [|2.2|], "block": 128 } }""")]
    public void Fewer_bits_than_any_format_takes_are_reported_with_what_it_takes(string least, string marked) =>
        Assert.Contains(least, Marked.Reports("MDL1031", marked).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "steps": 1, "epochs": [|1|] } } } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "integer", "choices": [|["1"]|] } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "integer", "tolerance": [|0.1|] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "import": "p", "train": [|"t"|] } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "rank": [|8|], "import": "p" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "import": "p", "sft": [|{}|] } } }""")]
    [InlineData("""{ "base": "b", "quantization": { "weights": "int4", "bitsPerWeight": [|4|] } }""")]
    public void Properties_that_exclude_each_other_are_reported_at_the_second(string marked) => Marked.Reports("MDL1016", marked);

    [Theory]
    [InlineData("""{ "base": { "hub": [|"qwen"|], "revision": "0000000000000000000000000000000000000000" } }""")]
    [InlineData("""{ "base": { "hub": [|"../x"|], "revision": "0000000000000000000000000000000000000000" } }""")]
    [InlineData("""{ "base": { "hub": "a/b", "revision": [|"main"|] } }""")]
    public void A_hub_reference_that_pins_nothing_is_reported_at_its_value(string marked) => Marked.Reports("MDL1017", marked);

    [Fact]
    public void Several_mistakes_are_all_reported_in_the_order_of_the_file()
    {
        ManifestResult result = ManifestParser.Parse(
            """
            { "bas": 1,
              "seed": "x",
              "budgets": { "a": 0, "A": 1 },
              "default": "b" }
            """,
            "m.model.json");

        Assert.Null(result.Manifest);
        Assert.Equal(["MDL1007", "MDL1005", "MDL1006", "MDL1008", "MDL1011", "MDL1014"], result.Diagnostics.Select(d => d.Code));
    }

    [Fact]
    public void A_diagnostic_reads_as_MSBuild_wants_it() =>
        Assert.Equal(
            "/app/tutor.model.json(1,24,1,27): error MDL1006: 'seed' must be a whole number, but is the text 'x'.",
            Marked.Reports("MDL1006", """{ "base": "b", "seed": [|"x"|] }""").ToString());

    [Fact]
    public void Messages_are_one_line_whatever_the_names_hold()
    {
        ManifestDiagnostic diagnostic = Marked.Reports("MDL1005", "{ \"base\": \"b\", [|\"a\\nb\\u2028\\u0007" + new string('x', 500) + "\"|]: 1 }");

        Assert.DoesNotContain(diagnostic.Message, c => char.IsControl(c) || c == '\u2028');
        Assert.True(diagnostic.Message.Length < 400);
    }

    [Fact]
    public void Later_stages_report_at_a_value_or_at_its_nearest_parent()
    {
        ManifestResult result = ManifestParser.Parse("{\n \"base\": \"b\",\n \"adapters\": { \"a b\": { \"train\": \"t\" } } }", "m.model.json");

        Assert.Equal("(3,34,3,37)", Marked.SpanOf(result.At("adapters/a b/train", "MDL3010", ManifestSeverity.Error, "x")));
        Assert.Equal("(3,23,3,39)", Marked.SpanOf(result.At("adapters/a b/sft/steps", "MDL3010", ManifestSeverity.Error, "x")));
        Assert.Equal("(1,1,3,43)", Marked.SpanOf(result.At("evaluation/data", "MDL3010", ManifestSeverity.Error, "x")));
    }
}
