using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Quantization;

namespace ModelSdk.Training.Tests;

public class CalibrationTests
{
    private static readonly TransformerConfig Config = Shapes.Tiny();

    private static readonly Dictionary<string, float[]> Weights = RandomWeights.Of(Config);

    private static readonly int[][] Texts = [RandomWeights.Tokens(Config, 17, 1), RandomWeights.Tokens(Config, 5, 2), RandomWeights.Tokens(Config, 9, 3)];

    [Fact]
    public void Activations_are_those_of_the_plain_form()
    {
        var inputs = new Dictionary<string, List<double[]>>();
        var energies = new Dictionary<string, double>();
        foreach (int[] text in Texts)
        {
            var reference = new ReferenceTransformer(Config, name => Array.ConvertAll(Weights[name], v => (double)v))
            {
                Seen = (module, x, y) =>
                {
                    (inputs.TryGetValue(module, out List<double[]>? seen) ? seen : inputs[module] = []).Add(x);
                    energies[module] = energies.GetValueOrDefault(module) + y.Sum(v => v * v);
                },
            };
            reference.Logits(text);
        }

        using var pass = new CalibrationPass(Config, Read, Texts, ComputeOptions.Full, TestContext.Current.CancellationToken);
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            (LayerActivations activations, LayerGrams? grams) = pass.Next(grams: true);
            foreach ((string fused, string[] modules) in (IEnumerable<(string, string[])>)
                [("self_attn.qkv_proj", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]), ("self_attn.o_proj", ["self_attn.o_proj"]), ("mlp.gate_up_proj", ["mlp.gate_proj", "mlp.up_proj"]), ("mlp.down_proj", ["mlp.down_proj"])])
            {
                List<double[]> x = inputs[$"model.layers.{layer}.{modules[0]}"];
                int n = x[0].Length;
                Assert.Equal(Texts.Sum(t => t.Length), x.Count);
                for (int i = 0; i < n; i++)
                {
                    Near(x.Average(v => v[i] * v[i]), activations[fused].MeanSquares[i]);
                    for (int j = 0; j < n; j++)
                        Assert.Equal(x.Sum(v => v[i] * v[j]), grams![fused][(i * n) + j], 2e-3 * Math.Sqrt(x.Sum(v => v[i] * v[i]) * x.Sum(v => v[j] * v[j])));
                }

                Near(modules.Sum(m => energies[$"model.layers.{layer}.{m}"]) / x.Count, activations[fused].OutputEnergy);
                Assert.InRange(activations[fused].StreamShare, 1e-3, 10);
            }
        }

        static void Near(double expected, double actual) => Assert.InRange(actual / expected, 0.999, 1.001);
    }

    [Fact]
    public void The_type_of_products_hardly_matters()
    {
        LayerActivations[] full = [.. Run(ComputeOptions.Full)], fast = [.. Run(ComputeOptions.BFloat16)];
        foreach ((LayerActivations a, LayerActivations b) in full.Zip(fast))
            Assert.All(a.Down.MeanSquares.Zip(b.Down.MeanSquares), p => Assert.InRange(p.Second / p.First, 0.8f, 1.25f));
    }

    [Fact]
    public void Products_are_collected_layer_by_layer_and_agree_with_the_squares()
    {
        Calibration calibration = CalibrationRecipe.Run(Config, Read, Texts, grams: true, cancellationToken: TestContext.Current.CancellationToken);
        int tokens = Texts.Sum(t => t.Length);
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            LayerGrams grams = calibration.Grams!(layer);
            int f = Config.IntermediateSize;
            for (int i = 0; i < f; i++)
                Assert.Equal(calibration.Layers[layer].Down.MeanSquares[i], grams.Down[(i * f) + i] / tokens, 0.01 * calibration.Layers[layer].Down.MeanSquares[i]);
        }
    }

    [Fact]
    public void Activations_that_are_not_finite_name_the_linear()
    {
        var damaged = new Dictionary<string, float[]>(Weights) { ["model.layers.1.mlp.up_proj.weight"] = [.. Weights["model.layers.1.mlp.up_proj.weight"].Select((w, i) => i == 70 ? float.NaN : w)] };

        var e = Assert.Throws<TrainingException>(() => CalibrationRecipe.Run(Config, (name, target, start) => damaged[name].AsSpan((int)start, target.Length).CopyTo(target), Texts, grams: false, cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(DiagnosticCodes.CalibrationNotFinite, e.Code);
        Assert.Contains("model.layers.1.mlp", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_are_spread_over_the_data_and_cut_to_the_tokens_wanted()
    {
        int[][] examples = [.. Enumerable.Range(0, 50).Select(i => Enumerable.Repeat(i, 10).ToArray())];

        IReadOnlyList<int[]> chosen = CalibrationRecipe.Choose(examples, 75);

        Assert.Equal(75, chosen.Sum(t => t.Length));
        int[] lines = [.. chosen.Select(t => t[0]).Order()];
        Assert.All(lines.Zip(lines.Skip(1)), p => Assert.InRange(p.Second - p.First, 1, 13));
        Assert.Equal(CalibrationRecipe.Choose(examples, 75), chosen);
        Assert.Equal(500, CalibrationRecipe.Choose(examples, 100_000).Sum(t => t.Length));
        Assert.Equal(CalibrationRecipe.TextTokens, CalibrationRecipe.Choose([new int[5000]], 3000).Single().Length);
    }

    private static IEnumerable<LayerActivations> Run(ComputeOptions compute)
    {
        using var pass = new CalibrationPass(Config, Read, Texts, compute);
        for (int layer = 0; layer < Config.Layers; layer++)
            yield return pass.Next(grams: false).Activations;
    }

    private static void Read(string name, Span<float> target, long start) => Weights[name].AsSpan((int)start, target.Length).CopyTo(target);
}
