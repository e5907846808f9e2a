using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>Runs a bundle as onnxruntime-genai does: names, sizes and end tokens come from genai_config.json.</summary>
[Collection(OneAtATime.Name)]
public sealed class GenaiLayoutTests(CompiledTiny compiled)
{
    private const int MaxTokens = 24;

    [Theory]
    [InlineData(BundleManifest.BaseMode)]
    [InlineData("sums")]
    public async Task A_bundle_run_by_its_genai_config_says_what_the_client_says(string mode)
    {
        string folder = compiled.World.Output;
        await using ReasoningModel client = await ReasoningModel.LoadAsync(folder, cancellationToken: TestContext.Current.CancellationToken);
        PromptEncoder encoder = new(folder, new PromptSettings());
        foreach (string question in (string[])["1+2?", "9+4?", "7+7?"])
        {
            ReasoningResult expected = await client.AnswerAsync(ReasoningRequest.FromQuestion(question) with { Mode = mode, MaxTokens = MaxTokens }, TestContext.Current.CancellationToken);
            string? file = mode == BundleManifest.BaseMode ? null : Path.Combine(folder, "adapters", mode, mode + ".onnx_adapter");

            List<int> tokens = Generate(folder, file, encoder.Prompt([new ChatTurn("user", question)]), encoder.GenerationPrompt());

            string text = encoder.Tokenizer.Decode([.. tokens]);
            Assert.Equal($"{expected.Reasoning}|{expected.Text.Trim()}", $"{(expected.Reasoning is null ? "" : Between(text, "<think>", "</think>"))}|{text.Split("</think>")[^1].Trim()}");
        }
    }

    [Fact]
    public async Task A_manifest_may_leave_it_out()
    {
        using TinyWorld world = new();
        world.Manifest["genai"] = false;
        world.Save();
        await CompilationTests.CompileAsync(world, world.Output);
        Assert.DoesNotContain(Directory.EnumerateFiles(world.Output, "*", SearchOption.AllDirectories), f => f.Contains("genai", StringComparison.Ordinal) || f.EndsWith(".onnx_adapter", StringComparison.Ordinal));
        BundleManifest with = BundleManifest.Read(compiled.World.Output);
        Assert.All((string[])["genai.onnx", "genai_config.json", "adapters/sums/sums.onnx_adapter"], file => Assert.Contains(file, with.Files.Keys));
    }

    /// <summary>Greedy tokens: the prompt by the base, then, with the adapter, what opens the answer and the answer.</summary>
    private static List<int> Generate(string folder, string? adapterFile, int[] prompt, int[] generationPrompt)
    {
        JsonNode model = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "genai_config.json")))!["model"]!;
        JsonNode search = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "genai_config.json")))!["search"]!;
        JsonNode decoder = model["decoder"]!;
        int layers = (int)decoder["num_hidden_layers"]!;
        int vocabulary = (int)model["vocab_size"]!;
        int[] ends = [.. model["eos_token_id"]!.AsArray().Select(t => (int)t!)];
        string[] Names(string side, string kind) => [.. Enumerable.Range(0, layers).Select(i => ((string)decoder[side]![kind]!).Replace("%d", $"{i}", StringComparison.Ordinal))];
        string[] pasts = [.. Names("inputs", "past_key_names"), .. Names("inputs", "past_value_names")];
        string[] presents = [.. Names("outputs", "present_key_names"), .. Names("outputs", "present_value_names")];
        Assert.True((bool)search["past_present_share_buffer"]!);
        long[] shape = [1, (int)decoder["num_key_value_heads"]!, (int)search["max_length"]!, (int)decoder["head_size"]!];
        using InferenceSession session = new(Path.Combine(folder, (string)decoder["filename"]!));
        using OrtLoraAdapter? adapter = adapterFile is null ? null : OrtLoraAdapter.Create(adapterFile, null);
        using RunOptions without = new();
        using RunOptions with = new();
        if (adapter is not null)
        {
            with.AddActiveLoraAdapter(adapter);
        }

        OrtValue[] cache = [.. pasts.Select(_ => OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, shape))];
        try
        {
            int length = 0;
            Run(prompt, without);
            int next = Run(generationPrompt, with);
            List<int> tokens = [];
            while (tokens.Count < MaxTokens && !ends.Contains(next))
            {
                tokens.Add(next);
                next = Run([next], with);
            }

            return tokens;

            int Run(int[] ids, RunOptions options)
            {
                length += ids.Length;
                float[] logits = new float[ids.Length * vocabulary];
                using OrtValue idValue = OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(ids, i => (long)i), [1, ids.Length]);
                using OrtValue mask = OrtValue.CreateTensorValueFromMemory(Enumerable.Repeat(1L, length).ToArray(), [1, length]);
                using OrtValue output = OrtValue.CreateTensorValueFromMemory(logits, [1, ids.Length, vocabulary]);
                session.Run(
                    options,
                    [(string)decoder["inputs"]!["input_ids"]!, (string)decoder["inputs"]!["attention_mask"]!, .. pasts],
                    [idValue, mask, .. cache],
                    [(string)decoder["outputs"]!["logits"]!, .. presents],
                    [output, .. cache]);
                Span<float> last = logits.AsSpan((ids.Length - 1) * vocabulary, vocabulary);
                int best = 0;
                for (int i = 1; i < vocabulary; i++)
                {
                    best = last[i] > last[best] ? i : best;
                }

                return best;
            }
        }
        finally
        {
            foreach (OrtValue value in cache)
            {
                value.Dispose();
            }
        }
    }

    private static string Between(string text, string open, string close)
    {
        string inner = text.Split(close)[0];
        return inner[(inner.IndexOf(open, StringComparison.Ordinal) + open.Length)..].Trim();
    }
}
