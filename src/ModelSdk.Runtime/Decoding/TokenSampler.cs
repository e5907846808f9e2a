using System.Numerics.Tensors;
using System.Security.Cryptography;

namespace ModelSdk.Runtime.Decoding;

/// <summary>Chooses tokens from logits as <see cref="SamplingOptions"/> describes. One per call; buffers are reused from token to token.</summary>
internal sealed class TokenSampler
{
    /// <summary>Tokens whose weights are summed together, so that a draw passes over most of a vocabulary in steps of so many.</summary>
    private const int Part = 512;

    private readonly double _inverseTemperature;
    private readonly double _topP;
    private readonly int _topK;
    private readonly bool _greedy;
    private Xoshiro256 _random;
    private double[] _values = [];
    private double[] _partSums = [];
    private int[] _ids = [];

    public TokenSampler(SamplingOptions options)
    {
        if (double.IsNaN(options.Temperature) || options.Temperature < 0)
            throw new InvalidRequestException($"The temperature is {options.Temperature}; it must be 0 (greedy) or more.");
        if (!(options.TopP > 0 && options.TopP <= 1))
            throw new InvalidRequestException($"TopP is {options.TopP}; it must lie in (0, 1], where 1 keeps all tokens.");
        if (options.TopK < 0)
            throw new InvalidRequestException($"TopK is {options.TopK}; it must be 0 (all tokens) or more.");
        _greedy = options.Temperature == 0 || options.TopK == 1;
        _inverseTemperature = _greedy ? 1 : 1 / options.Temperature;
        _topP = options.TopP;
        _topK = options.TopK;
        _random = new Xoshiro256(options.Seed ?? BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8)));
    }

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">[V]</param>
    /// <returns>The token's id, or -1 when the logits are not numbers.</returns>
    public int Choose(ReadOnlySpan<float> logits)
    {
        int best = TensorPrimitives.IndexOfMax(logits);
        if (float.IsNaN(logits[best]))
            return -1;
        return _greedy ? best : Sample(logits, logits[best]);
    }

    private int Sample(ReadOnlySpan<float> logits, float max)
    {
        if (_values.Length < logits.Length)
        {
            _values = new double[logits.Length];
            _ids = new int[logits.Length];
            _partSums = new double[(logits.Length + Part - 1) / Part];
        }

        bool all = _topK == 0 || _topK >= logits.Length;
        if (all && _topP == 1)
            return Draw(Weigh(logits, max), logits.Length);

        int count;
        double sum;
        if (all)
        {
            sum = Weigh(logits, max);
            count = SortLikely(logits.Length, sum);
        }
        else
        {
            count = KeepTopK(logits);
            sum = 0;
            for (int i = 0; i < count; i++)
            {
                _values[i] = Math.Exp((logits[_ids[i]] - (double)max) * _inverseTemperature);
                sum += _values[i];
            }
        }

        if (_topP < 1)
        {
            double kept = 0;
            int n = 0;
            do
                kept += _values[n++];
            while (n < count && kept < _topP * sum);
            count = n;
            sum = kept;
        }

        return _ids[Walk(0, count, 0, _random.NextDouble() * sum)];
    }

    /// <summary>
    /// Puts the weight of every token relative to the most probable one, exp((logit - max) / T), into the values, and the sums of parts of
    /// <see cref="Part"/> tokens beside them.
    /// </summary>
    /// <returns>The sum of all weights.</returns>
    private double Weigh(ReadOnlySpan<float> logits, float max)
    {
        double sum = 0;
        for (int start = 0, part = 0; start < logits.Length; start += Part, part++)
        {
            int length = Math.Min(Part, logits.Length - start);
            Span<double> values = _values.AsSpan(start, length);
            TensorPrimitives.ConvertTruncating(logits.Slice(start, length), values);
            TensorPrimitives.Subtract(values, max, values);
            TensorPrimitives.Multiply(values, _inverseTemperature, values);
            TensorPrimitives.Exp<double>(values, values);
            _partSums[part] = TensorPrimitives.Sum<double>(values);
            sum += _partSums[part];
        }

        return sum;
    }

    /// <summary>Draws one of all weighed tokens: first the part that holds it, then the token in there.</summary>
    private int Draw(double sum, int count)
    {
        double target = _random.NextDouble() * sum;
        double walked = 0;
        int part = 0;
        while ((part + 1) * Part < count && walked + _partSums[part] <= target)
            walked += _partSums[part++];
        return Walk(part * Part, Math.Min((part + 1) * Part, count), walked, target);
    }

    /// <summary>The first place in [start, end) where the sum of weights exceeds the target, or the last that has any weight.</summary>
    private int Walk(int start, int end, double walked, double target)
    {
        int last = start;
        for (int i = start; i < end; i++)
        {
            walked += _values[i];
            if (walked > target)
                return i;
            if (_values[i] > 0)
                last = i;
        }

        return last;
    }

    /// <summary>Puts the k best ids in front, best first; a heap of k with the worst on top.</summary>
    private int KeepTopK(ReadOnlySpan<float> logits)
    {
        Span<int> heap = _ids.AsSpan(0, _topK);
        for (int i = 0; i < _topK; i++)
            heap[i] = i;
        for (int i = _topK / 2 - 1; i >= 0; i--)
            SiftDown(heap, i, logits);
        for (int id = _topK; id < logits.Length; id++)
        {
            if (Better(logits, id, heap[0]))
            {
                heap[0] = id;
                SiftDown(heap, 0, logits);
            }
        }

        // Heap sort: the worst goes to the end, so the best comes first.
        for (int end = _topK - 1; end > 0; end--)
        {
            (heap[0], heap[end]) = (heap[end], heap[0]);
            SiftDown(heap[..end], 0, logits);
        }

        return _topK;
    }

    private static void SiftDown(Span<int> heap, int root, ReadOnlySpan<float> logits)
    {
        while (true)
        {
            int worst = root;
            int left = 2 * root + 1;
            if (left < heap.Length && Better(logits, heap[worst], heap[left]))
                worst = left;
            if (left + 1 < heap.Length && Better(logits, heap[worst], heap[left + 1]))
                worst = left + 1;
            if (worst == root)
                return;
            (heap[root], heap[worst]) = (heap[worst], heap[root]);
            root = worst;
        }
    }

    private static bool Better(ReadOnlySpan<float> logits, int a, int b) => logits[a] > logits[b] || (logits[a] == logits[b] && a < b);

    /// <summary>
    /// Sorts the tokens that top-p can keep of all weighed ones, best first. Tokens with less than (1 - p) / V of the mass sum to less than 1 - p, so those above
    /// that line hold at least p and the kept ones are among them.
    /// </summary>
    private int SortLikely(int count, double sum)
    {
        double line = (1 - _topP) / count * sum;
        int likely = 0;
        for (int i = 0; i < count; i++)
        {
            if (_values[i] >= line)
            {
                _values[likely] = -_values[i];
                _ids[likely] = i;
                likely++;
            }
        }

        // Array.Sort is not stable: equal weights are put in the order of their ids afterwards.
        Array.Sort(_values, _ids, 0, likely);
        for (int start = 0; start < likely;)
        {
            int end = start + 1;
            while (end < likely && _values[end] == _values[start])
                end++;
            if (end - start > 1)
                Array.Sort(_ids, start, end - start);
            start = end;
        }

        for (int i = 0; i < likely; i++)
            _values[i] = -_values[i];
        return likely;
    }
}
