using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;
using LayerActivations = ModelSdk.Onnx.Quantization.LayerActivations;

namespace ModelSdk.Training.Quantization;

/// <summary>Reads a run of a weight's elements, row-major; from several threads at once.</summary>
/// <param name="name">Hugging Face name.</param>
/// <param name="target">Receives the elements; all of it is filled.</param>
/// <param name="start">Index of the first element in the flattened tensor.</param>
public delegate void WeightReader(string name, Span<float> target, long start);

/// <summary>
/// Runs texts through a base in full precision and tells what flows into its linears (paper, section 6: calibration). One layer's weights and the
/// texts' hidden states are in memory at a time, so a model that does not fit can be calibrated.
/// </summary>
public sealed class CalibrationPass : IDisposable
{
    /// <summary>Tokens that go through a layer at a time; bounds the activations of the feed-forward part.</summary>
    private const int BatchTokens = 2048;

    private readonly TransformerConfig _config;
    private readonly ScalarType _type;
    private readonly RotaryTable _rotary;
    private readonly int[] _lengths;
    private readonly CancellationToken _cancellationToken;
    private readonly Tensor _stream;
    private readonly CalibrationWeights _weights;
    private int _layer;

    /// <summary>Embeds the texts.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Gives its weights.</param>
    /// <param name="texts">Tokens of each text; at least one, none empty.</param>
    /// <param name="compute">Type of products; null: <see cref="ComputeOptions.Fastest"/>.</param>
    /// <param name="cancellationToken">Checked between batches.</param>
    /// <exception cref="TrainingException">MDL3001: torch is not available.</exception>
    public CalibrationPass(TransformerConfig config, WeightReader read, IReadOnlyList<int[]> texts, ComputeOptions? compute = null, CancellationToken cancellationToken = default)
    {
        if (texts.Count == 0 || texts.Any(t => t.Length == 0))
            throw new ArgumentException("A calibration needs texts, each of at least one token.", nameof(texts));
        TorchLibrary.EnsureLoaded();
        (_config, _cancellationToken) = (config, cancellationToken);
        _type = (compute ?? ComputeOptions.Fastest).Type;
        _lengths = [.. texts.Select(t => t.Length)];
        _rotary = new RotaryTable(config, _lengths.Max(), _type, CPU);
        using var scope = NewDisposeScope();
        int[] ids = [.. texts.SelectMany(t => t)];
        var rows = new float[ids.Length * config.HiddenSize];
        for (int i = 0; i < ids.Length; i++)
            read(Qwen2Tensors.Embedding, rows.AsSpan(i * config.HiddenSize, config.HiddenSize), (long)ids[i] * config.HiddenSize);
        // The stream stays in fp32 whatever the type of products.
        _stream = tensor(rows, [ids.Length, config.HiddenSize]).clone().DetachFromDisposeScope();
        _weights = new CalibrationWeights(config, read, _type);
    }

    /// <summary>Layers that were run.</summary>
    public int Layers => _layer;

    /// <summary>Runs the texts through the next layer.</summary>
    /// <param name="grams">Whether sums of x x^T are wanted as well.</param>
    /// <exception cref="TrainingException">MDL4051: an activation is not finite.</exception>
    public (LayerActivations Activations, LayerGrams? Grams) Next(bool grams)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        string prefix = $"model.layers.{_layer}.";
        int d = _config.HiddenSize, f = _config.IntermediateSize, q = _config.QuerySize, kv = _config.KeyValueSize;
        _weights.Load(_layer);
        Tensor queryScale = torch.ones([q + (2 * kv)], dtype: _type);
        queryScale.narrow(0, 0, q).fill_(1 / Math.Sqrt(_config.HeadSize));
        Observed intoQkv = new(d, grams), intoOutput = new(q, grams), intoGateUp = new(d, grams), intoDown = new(f, grams);
        double attentionAdds = 0, afterAttention = 0, feedAdds = 0, afterFeed = 0;

        foreach ((int first, int count, int firstText, int texts) in Batches())
        {
            _cancellationToken.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            Tensor x = _stream.narrow(0, first, count);                                          // [N, D] fp32
            Tensor h = Normalize(x, _weights.AttentionNorm);
            Tensor mixedInputs = nn.functional.linear(h, _weights.Qkv);                          // [N, (H + 2 KVH) h]
            intoQkv.Add(h, mixedInputs);
            mixedInputs = (mixedInputs + _weights.Bias) * queryScale;
            var mixed = new List<Tensor>(texts);
            int at = 0;
            for (int t = firstText; t < firstText + texts; t++)
            {
                mixed.Add(Attend(mixedInputs.narrow(0, at, _lengths[t]), _lengths[t]));
                at += _lengths[t];
            }

            Tensor attended = torch.cat(mixed, 0);                                               // [N, H h]
            Tensor change = nn.functional.linear(attended, _weights.Output);
            intoOutput.Add(attended, change);
            x.add_(change);
            attentionAdds += Energy(change);
            afterAttention += Energy(x);

            h = Normalize(x, _weights.FeedNorm);
            Tensor both = nn.functional.linear(h, _weights.GateUp);                              // [N, 2 F]
            intoGateUp.Add(h, both);
            Tensor product = Gated(both);                                                        // [N, F]
            both.Dispose();
            change = nn.functional.linear(product, _weights.Down);
            intoDown.Add(product, change);
            x.add_(change);
            feedAdds += Energy(change);
            afterFeed += Energy(x);
        }

        int tokens = _lengths.Sum();
        _layer++;
        double attentionShare = attentionAdds / afterAttention, feedShare = feedAdds / afterFeed;
        var activations = new LayerActivations(
            intoQkv.Finish(prefix + "self_attn.qkv_proj", tokens, attentionShare),
            intoOutput.Finish(prefix + "self_attn.o_proj", tokens, attentionShare),
            intoGateUp.Finish(prefix + "mlp.gate_up_proj", tokens, feedShare),
            intoDown.Finish(prefix + "mlp.down_proj", tokens, feedShare));
        return (activations, grams ? new LayerGrams(intoQkv.Gram(), intoOutput.Gram(), intoGateUp.Gram(), intoDown.Gram()) : null);
    }

    /// <summary>Frees the hidden states.</summary>
    public void Dispose()
    {
        _stream.Dispose();
        _weights.Dispose();
        _rotary.Dispose();
    }

    /// <summary>Runs of whole texts of about <see cref="BatchTokens"/> tokens.</summary>
    private IEnumerable<(int First, int Count, int FirstText, int Texts)> Batches()
    {
        int first = 0, count = 0, firstText = 0;
        for (int t = 0; t < _lengths.Length; t++)
        {
            if (count > 0 && count + _lengths[t] > BatchTokens)
            {
                yield return (first, count, firstText, t - firstText);
                (first, count, firstText) = (first + count, 0, t);
            }

            count += _lengths[t];
        }

        yield return (first, count, firstText, _lengths.Length - firstText);
    }

    /// <summary>RMSNorm with its gain, in the type of products: what the linear behind it reads.</summary>
    private Tensor Normalize(Tensor x, Tensor gain) => (DecoderStack.Normalize(x, _config.RmsNormEpsilon) * gain.to_type(ScalarType.Float32)).to_type(_type);

    /// <summary>Attention of one text: [T, (H + 2 KVH) h] -> [T, H h].</summary>
    private Tensor Attend(Tensor qkv, int length) => DecoderStack.Mix(
        _config,
        qkv.unsqueeze(0),
        0,
        _rotary,
        _rotary.Range(0, length),
        AttentionMask.Causal(length, _config.Heads / _config.KeyValueHeads, _type, CPU),
        null).squeeze(0);

    /// <summary>silu(gate) * up: [N, 2 F] -> [N, F].</summary>
    private static Tensor Gated(Tensor both)
    {
        if (!KernelSupport.IsAvailable)
        {
            Tensor[] parts = both.chunk(2, -1);
            return nn.functional.silu(parts[0]) * parts[1];
        }

        Tensor product = torch.empty([both.shape[0], both.shape[1] / 2], dtype: both.dtype);
        if (both.dtype == ScalarType.BFloat16)
            SwiGluKernel.Forward<Bf16>(both, product);
        else
            SwiGluKernel.Forward<Fp32>(both, product);
        return product;
    }

    private static double Energy(Tensor x) => !KernelSupport.IsAvailable
        ? x.to_type(ScalarType.Float32).square().sum(ScalarType.Float64).item<double>()
        : x.dtype == ScalarType.BFloat16 ? MomentKernel.Energy<Bf16>(x) : MomentKernel.Energy<Fp32>(x);

    /// <summary>Sums over what flows into one linear.</summary>
    private sealed class Observed(int columns, bool gram)
    {
        private readonly double[] _squares = new double[columns];
        private readonly Tensor? _gram = gram ? torch.zeros([columns, columns], dtype: ScalarType.Float32) : null;
        private double _energy;

        public void Add(Tensor input, Tensor output)
        {
            AddSquares(input);
            if (_gram is not null)
            {
                Tensor wide = input.to_type(ScalarType.Float32);
                _gram.addmm_(wide.t(), wide, 1, 1);
            }

            _energy += Energy(output);
        }

        public LinearActivations Finish(string name, int tokens, double share)
        {
            float[] squares = [.. _squares.Select(s => (float)(s / tokens))];
            int bad = squares.AsSpan().IndexOfAnyExceptInRange(0, float.MaxValue);
            if (bad >= 0 || !double.IsFinite(_energy) || !double.IsFinite(share))
            {
                throw new TrainingException(
                    DiagnosticCodes.CalibrationNotFinite,
                    $"The calibration's activations of {name} are not finite{(bad >= 0 ? $": channel {bad} has a mean square of {squares[bad]}" : "")}. The base is damaged, or its training diverged.");
            }

            return new LinearActivations(squares, _energy / tokens, share);
        }

        private void AddSquares(Tensor input)
        {
            if (KernelSupport.IsAvailable && input.dtype == ScalarType.BFloat16)
            {
                MomentKernel.AddColumnSquares<Bf16>(input, _squares);
            }
            else if (KernelSupport.IsAvailable)
            {
                MomentKernel.AddColumnSquares<Fp32>(input, _squares);
            }
            else
            {
                ReadOnlySpan<double> sums = input.to_type(ScalarType.Float32).square().sum([0L], type: ScalarType.Float64).data<double>().ToArray();
                for (int i = 0; i < columns; i++)
                    _squares[i] += sums[i];
            }
        }

        public float[] Gram() => Transformer.Values(_gram!);
    }
}
